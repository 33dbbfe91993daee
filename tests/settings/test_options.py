"""Options as groups and by their flat names."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from pnpvideo.coherence.independent import Independent
from pnpvideo.coherence.joint import JointAttention
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.errors import OptionError
from pnpvideo.kinds import Kind, Several
from pnpvideo.methods.plug_and_play import PlugAndPlay
from pnpvideo.methods.registry import METHODS
from pnpvideo.methods.sdedit import SDEdit
from pnpvideo.option import SECTIONS, specs
from pnpvideo.settings.models import ALIASES, resolve
from pnpvideo.settings.options import GROUPS, KNOWN, KNOWN_DEFAULTS, OptionGroups, Options, Sampling
from pnpvideo.settings.presets import PRESETS, USUAL
from pnpvideo.settings.prompts import Prompts


def test_flat_names_and_groups_are_the_same_options() -> None:
    flat = Options.from_flat({"method": "sdedit", "strength": 0.3, "coherence": "none", "steps": 7, "negative": "n"})
    grouped = Options(
        method=SDEdit(strength=0.3),
        coherence=Independent(),
        sampling=Sampling(steps=7),
        prompts=Prompts(negative="n"),
    )
    assert flat == grouped
    assert Options.from_flat(grouped.stated()) == grouped
    assert Options.from_flat(Options().flat()) == Options()


def test_every_default_is_that_of_its_declaration() -> None:
    flat = Options().flat()
    assert set(flat) == set(KNOWN) - {
        name for kind in METHODS.values() if kind is not PlugAndPlay for name in specs(kind)
    }
    assert all(value == KNOWN_DEFAULTS[name] for name, value in flat.items())
    assert all(spec.section in SECTIONS for spec in KNOWN.values())


def test_a_name_that_two_methods_or_coherences_have_means_the_same() -> None:
    declared: dict[str, Any] = {}
    for owner in (*METHODS.values(), *COHERENCES.values(), *GROUPS):
        for field in fields(owner):
            if field.name in specs(owner):
                found = declared.setdefault(field.name, (specs(owner)[field.name], field.default))
                assert found == (specs(owner)[field.name], field.default), field.name


def test_the_keywords_of_the_verbs_are_the_groups() -> None:
    groups = {field.name for field in fields(Options)} - {"model", "origins", "unread"}
    assert set(get_type_hints(OptionGroups)) == groups


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"stepz": 5}, "unknown option 'stepz'; known are"),
        ({"method": "magic"}, "method is 'magic'; accepted: pnp"),
        ({"coherence": 5}, "coherence is 5; accepted: flow"),
        ({"strength": 2.0}, "strength is 2.0"),  # of another method, and checked all the same
        ({"mask": "m.png", "keep_background": True}, "both given"),
        ({"keep_background": True}, "say which, with a change"),
        ({"generate": True}, "generate needs a source prompt"),
        ({"generate": True, "source_prompt": "a", "mask": "m.png"}, "no background"),
        ({"generate": True, "source_prompt": "a", "frames": (0, 1)}, "reads no input"),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        Options.from_flat(given)


def test_an_option_of_another_method_is_noted_and_not_lost_without_a_word() -> None:
    assert Options.from_flat({"strength": 0.3, "keyframe_every": 4, "coherence": "none"}).unread == (
        *("strength", "keyframe_every"),
    )
    assert Options.from_flat({"strength": KNOWN_DEFAULTS["strength"]}).unread == ()


def test_changed_options_keep_what_the_change_does_not_name() -> None:
    base = Options.from_flat({"keyframe_every": 4, "attention_until": 0.2, "seed": 5})
    other = base.changed({"coherence": "joint", "steps": 3})
    assert other.coherence == JointAttention(keyframe_every=4) and other.method == PlugAndPlay(attention_until=0.2)
    assert (other.sampling.seed, other.sampling.steps) == (5, 3)
    assert base.changed({"method": "sdedit", "strength": 0.9}).method == SDEdit(strength=0.9)
    assert base.changed({"strength": 0.9}).unread == ("strength",)
    with pytest.raises(OptionError, match="unknown option"):
        base.changed({"stepz": 1})


def test_who_set_an_option_is_kept_and_changes_nothing() -> None:
    told = Options.from_flat({"steps": 3, "seed": 1}, {"steps": "flag"})
    assert dict(told.origins) == {"steps": "flag", "seed": "call"}
    assert told == Options.from_flat({"steps": 3, "seed": 1})


def test_the_kind_of_an_option_says_which_files_it_names(tmp_path: Path) -> None:
    """All options, so that a new one is not forgotten where a batch looks for what a row reads."""
    for name, spec in KNOWN.items():
        kind, metavar = spec.kind, spec.metavar or spec.kind.metavar
        if not any(word in metavar for word in ("PATH", "FILE", "MODEL")):
            assert type(kind).files is Kind.files, name
            continue
        value = kind.parse(name, str(tmp_path))
        found = [*kind.files((value,) if isinstance(kind, Several) else value)]
        assert found == ([] if name in ("store", "preview_file") else [tmp_path]), name


def test_the_files_that_options_read_are_known(tmp_path: Path) -> None:
    names = ("mask", "vae", "preview_vae", "store", "preview_file")
    values: dict[str, Any] = {name: tmp_path / name for name in names}
    values |= {"model": str(tmp_path), "captioner": "owner/name", "directions": (("d", 1.0),), "lora": (("l", 0.5),)}
    (tmp_path / "follow").touch()
    values |= {"control": (("canny", 1.0), (str(tmp_path / "follow"), 0.0)), "controlnet": ("c", "n")}
    found = {str(path) for path in Options.from_flat(values).files()}
    read = {str(tmp_path / name) for name in ("mask", "vae", "preview_vae", "follow")}
    assert found == read | {str(tmp_path), "d", "l", "c", "n"}
    assert [*Options().files()] == []


def test_presets_and_aliases_have_what_options_offer() -> None:
    assert USUAL in PRESETS and Options().sampling.preset == USUAL
    assert PRESETS["best"].steps > PRESETS["balanced"].steps > PRESETS["draft"].steps
    assert Path(resolve("miniature")).is_dir() and resolve("owner/name") == "owner/name" and "sd15" in ALIASES
