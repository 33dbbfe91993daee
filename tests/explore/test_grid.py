"""Dials are parsed and checked by the options' own declarations, and span a grid."""

from pathlib import Path
from typing import Any

import pytest

from pnpvideo.errors import OptionError
from pnpvideo.explore.grid import Dial, span_cells


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("guidance=2,4,7.5", "guidance", (2.0, 4.0, 7.5)),
        ("attention-until=.3, .5", "attention_until", (0.3, 0.5)),
        ("steps=4,8", "steps", (4, 8)),
        ("method=pnp,sdedit", "method", ("pnp", "sdedit")),
        ("coherence=flow,none", "coherence", ("flow", "none")),
        ("seed=0,1", "seed", (0, 1)),
        ("model=miniature,owner/name", "model", ("miniature", "owner/name")),
        ("preset=best", "preset", ("best",)),
        ("prompt=a ball, red|a cube", "prompt", ("a ball, red", "a cube")),
        ("negative=|blurry, grey", "negative", ("", "blurry, grey")),
        ("keep_background=true,false", "keep_background", (True, False)),
        ("guidance_span=0:0.8,0.2:", "guidance_span", ((0.0, 0.8), (0.2, 1.0))),
        ("regularize=0,2", "regularize", (0.0, 2.0)),
        ("mask=a.png", "mask", (Path("a.png"),)),
        ("direction=a.pt:2,b.pt", "directions", ((("a.pt", 2.0),), (("b.pt", 1.0),))),
        ("change=ball:cube|ball:tree", "change", (("ball", "cube"), ("ball", "tree"))),
    ],
)
def test_values_are_those_of_the_option(text: str, name: str, values: tuple[Any, ...]) -> None:
    dial = Dial.parse(text)
    assert (dial.name, dial.values) == (name, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("guidance", "accepted is NAME=VALUE,VALUE"),
        ("gain=3", "no option 'gain'; dials are: prompt, model"),
        ("guidance=2,much", "guidance is 'much'; accepted is a number"),
        ("guidance=2,200", "from 0 to 100"),
        ("steps=4.5", "accepted is a whole number"),
        ("method=magic", "accepted: pnp"),
        ("keep_background=perhaps", "accepted is true or false"),
        ("guidance=2,2", "each once"),
        ("frames=0:3", "frames is no dial"),
        ("store=a,b", "store is no dial"),
    ],
)
def test_what_is_no_dial_is_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Dial.parse(text)


def test_the_first_dial_changes_fastest() -> None:
    dials = [Dial.parse("guidance=2,4"), Dial.parse("prompt=a|b")]
    cells = span_cells(None, {"seed": 3}, dials)
    assert [(cell.number, cell.prompt, cell.values["guidance"]) for cell in cells] == [
        (1, "a", 2.0),
        (2, "a", 4.0),
        (3, "b", 2.0),
        (4, "b", 4.0),
    ]
    assert all(cell.values["seed"] == 3 for cell in cells)
    assert cells[2].dials == {"guidance": "2", "prompt": "b"}


def test_the_preset_is_draft_unless_something_says_otherwise() -> None:
    assert [cell.values for cell in span_cells("a", {}, [])] == [{"preset": "draft"}]
    assert [cell.values for cell in span_cells("a", {"preset": "best", "overwrite": True}, [])] == [{"preset": "best"}]
    assert [cell.values for cell in span_cells("a", {}, [Dial.parse("steps=3")])] == [{"steps": 3}]


def test_an_option_of_each_method_is_kept_for_its_own_cells() -> None:
    first, second = span_cells("a", {"strength": 0.3}, [Dial.parse("method=pnp,sdedit")])
    assert first.options().unread == ("strength",) and second.options().flat()["strength"] == 0.3


def test_more_or_contradicting_dials_are_refused() -> None:
    one, two, three = Dial.parse("guidance=1"), Dial.parse("seed=1"), Dial.parse("steps=1")
    for dials in ([one, two, three], [one, one]):
        with pytest.raises(OptionError, match="accepted are up to 2 different dials"):
            span_cells("a", {}, dials)
    with pytest.raises(OptionError, match="mask and keep_background"):
        span_cells("a", {"mask": Path("a"), "change": ("a", "b")}, [Dial.parse("keep_background=no,yes")])
