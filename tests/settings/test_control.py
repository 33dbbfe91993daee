"""What --control, --controlnet and --control-span accept, together and from files of options."""

from pathlib import Path
from typing import Any

import pytest
from pnpvideo.cli.settings import read_file

import pnpvideo
from pnpvideo.errors import OptionError
from pnpvideo.settings.control import KINDS, Control, Stated
from pnpvideo.settings.effective import effective, without_effect
from pnpvideo.settings.options import KNOWN, Options
from pnpvideo.video.conditions import MAKERS
from tests.settings.test_effective import Model

NET = ("net.safetensors",)


def test_each_control_has_its_net_scale_and_span(tmp_path: Path) -> None:
    (tmp_path / "poses").mkdir()
    two = Control(
        control=(("canny", 0.8), (str(tmp_path / "poses"), 1.0)),
        controlnet=("a", "b"),
        control_span=((0.0, 0.5), (0.25, 1.0)),
    )
    assert list(two.stated()) == [
        Stated("canny", 0.8, "a", (0.0, 0.5)),
        Stated(str(tmp_path / "poses"), 1.0, "b", (0.25, 1.0)),
    ]
    assert two.brought() == [tmp_path / "poses"]
    one = Control(control=(("canny", 0.0), ("tile", 1.0)), controlnet=("a", "b"), control_span=((0.0, 0.5),))
    assert list(one.stated()) == [Stated("tile", 1.0, "b", (0.0, 0.5))]  # of scale 0, nothing is left
    assert next(iter(Control(control=(("tile", 2.0),), controlnet=NET).stated())).span == (0.0, 1.0)
    assert list(Control(controlnet=NET).stated()) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"control": (("canyn", 1.0),), "controlnet": NET}, "'canyn'; accepted are canny, tile, or the path"),
        ({"control": (("depth", 1.0),), "controlnet": NET}, "'depth', and a network of its own makes such pictures"),
        ({"control": (("canny", 1.0),)}, "control is given once and controlnet not at all"),
        ({"control": (("canny", 1.0),), "controlnet": (*NET, *NET)}, "control is given once and controlnet twice"),
        ({"control": (("canny", -1.0),), "controlnet": NET}, "a number from 0 to 10"),
        ({"control": (("canny", 11.0),), "controlnet": NET}, "a number from 0 to 10"),
        ({"control": (("canny", 1.0),), "controlnet": NET, "control_span": ((0.0, 1.5),)}, "a number from 0 to 1"),
        ({"control": (("canny", 1.0),), "controlnet": NET, "control_span": ((-0.1, 1.0),)}, "a number from 0 to 1"),
        ({"control": (("canny", 1.0),), "controlnet": NET, "control_span": ((0.5, 0.5),)}, "an empty span"),
        (
            {"control": (("canny", 1.0),), "controlnet": NET, "control_span": ((0.0, 0.5),) * 2},
            "control_span is given twice and control once",
        ),
        ({"controlnet": (3,)}, "a ControlNet is 3"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says) as refused:
        Control(**given)
    assert len(str(refused.value).splitlines()) == 1 and refused.value.exit_code == 2


def test_without_an_input_there_is_nothing_to_follow() -> None:
    with pytest.raises(OptionError, match="there is no input that a control follows"):
        Options.from_flat({"generate": True, "source_prompt": "a", "control": (("canny", 1.0),), "controlnet": NET})


def test_kinds_are_those_that_can_be_made() -> None:
    assert tuple(MAKERS) == KINDS


def test_a_file_of_options_has_them_by_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "poses").mkdir()
    path = tmp_path / "options.toml"
    path.write_text(
        'control = ["canny:0.8", "poses"]\ncontrolnet = ["a.safetensors", "b"]\ncontrol_span = ["0:0.6", "0.2:"]\n'
    )
    values = read_file(path)
    assert values["control"] == (("canny", 0.8), (str(tmp_path / "poses"), 1.0))
    assert values["controlnet"] == (str(tmp_path / "a.safetensors"), str(tmp_path / "b"))
    assert values["control_span"] == ((0.0, 0.6), (0.2, 1.0))
    for name, value in values.items():  # what is written is read again
        assert KNOWN[name].kind.load(name, KNOWN[name].kind.dump(value), tmp_path) == value
    wrong = tmp_path / "wrong.toml"
    for text in ('control = "canny"', "controlnet = [1]", 'control_span = ["0;1"]'):
        wrong.write_text(text)
        with pytest.raises(OptionError):
            read_file(wrong)


def test_a_net_without_a_control_has_no_effect() -> None:
    chosen = effective(Options(control=pnpvideo.Control(controlnet=NET)), Model())
    assert without_effect(chosen, 2) == ["controlnet is set, and has no effect: there is no control"]
