"""Controls come from the declarations of the options, and what they hold becomes values again."""

from pathlib import Path

import pytest

from pnpvideo.errors import OptionError
from pnpvideo.option import SECTIONS
from pnpvideo.settings.options import KNOWN, KNOWN_DEFAULTS, Options
from pnpvideo.ui.controls import AUTOMATIC, Widget, content_of, controls, readers, values_of

MODELS = ("miniature", "other")


def test_every_option_that_suits_a_page_has_one_control_by_section() -> None:
    shown = controls({}, MODELS)
    names = [control.name for control in shown]
    assert len(set(names)) == len(names)
    left_out = {name for name in KNOWN if name not in names}
    assert left_out == {
        *("generate", "captioner", "change", "directions", "mask", "vae", "lora", "embedding"),
        *("control", "controlnet", "control_span"),
        *("overwrite", "sidecar", "preview_every", "preview_file", "preview_vae"),
        *("device", "dtype", "compile", "store", "store_limit"),
    }
    sections = [SECTIONS.index(control.section) for control in shown]
    assert sections == sorted(sections)
    assert all(control.help == KNOWN[control.name].help for control in shown)


def test_a_control_looks_like_the_kind_of_its_option() -> None:
    shown = {control.name: control for control in controls({}, MODELS)}
    assert shown["preset"].widget is Widget.CHOICE and shown["preset"].content == "balanced"
    assert ("automatic", AUTOMATIC) not in shown["preset"].choices
    assert shown["solver"].choices[0] == ("automatic", AUTOMATIC)
    assert [content for _, content in shown["regularize"].choices] == [AUTOMATIC, "0", "1", "2"]
    assert shown["keep_background"].widget is Widget.SWITCH
    assert shown["guidance"].widget is Widget.TEXT and shown["guidance"].empty == "automatic"
    assert [content for _, content in shown["model"].choices] == list(MODELS)


def test_untouched_controls_set_nothing_but_what_they_began_with() -> None:
    for start in ({}, {"guidance": 3.0, "source_prompt": "", "frames": (0, 4), "memory": 2**33, "seed": 2**62 + 1}):
        contents = {control.name: control.content for control in controls(start, MODELS)}
        assert values_of(contents, start) == start


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 2**63 - 1),
        ("guidance", 0.1),
        ("guidance", 2.0),
        ("guidance_span", (0.25, 1.0)),
        ("frames", (3, None)),
        ("memory", 2**30),
        ("regularize", 2.0),
        ("solver", "ddim"),
        ("keep_background", True),
        ("negative", "a <b>"),
    ],
)
def test_a_value_survives_its_control(name: str, value: object) -> None:
    assert values_of({name: content_of(name, value)}, {}) == {name: value}


def test_a_folder_of_a_model_is_named_by_its_last_part(tmp_path: Path) -> None:
    start = {"model": str(tmp_path)}
    (model,) = (control for control in controls(start, (str(tmp_path), "miniature")) if control.name == "model")
    assert model.content == tmp_path.name and str(tmp_path.parent) not in str(model)
    assert values_of({"model": model.content}, start) == start


def test_an_emptied_control_leaves_the_option_alone() -> None:
    assert values_of({"guidance": "", "seed": "", "solver": AUTOMATIC}, {"guidance": 3.0}) == {}
    assert content_of("guidance", KNOWN_DEFAULTS["guidance"]) == AUTOMATIC


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("guidance", "much", "guidance is 'much'; accepted is a number"),
        ("steps", "0", "steps is 0; accepted is a whole number from 1 to 1000"),
        ("preset", "fast", "preset is 'fast'; accepted"),
        ("seed", 3, "seed is 3; accepted is a text"),
        ("allow_partial", "yes", "allow_partial is 'yes'; accepted: True, False"),
    ],
)
def test_what_no_option_takes_is_refused(name: str, content: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        values_of({name: content}, {})


def test_options_of_a_method_or_a_coherence_name_those_that_read_them() -> None:
    assert readers("attention_until") == ("pnp",)
    assert readers("keyframe_every") == ("flow",) or "flow" in (readers("keyframe_every") or ())
    assert readers("seed") is None


def test_the_values_of_all_controls_make_options() -> None:
    contents = {control.name: control.content for control in controls({}, MODELS)}
    assert Options.from_flat(values_of(contents, {})) == Options()
    assert values_of({"model": "other"}, {}) == {"model": "other"}
