"""Declarations of options: what is checked, and what is derived."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pnpvideo import kinds
from pnpvideo.errors import OptionError
from pnpvideo.kinds import SHARE
from pnpvideo.option import Spec, check_options, flag_of, option, plain, specs, stated, values_of
from pnpvideo.video.span import TimeSpan


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """A group of options with one of each sort."""

    plain_one: int = option(3, Spec(kind=kinds.Whole(1, 9), section="look", help="A number."))
    optional_share: float | None = option(None, Spec(kind=SHARE, section="look", help="A share.", otherwise=0.5))
    quiet: bool = option(
        False, Spec(kind=kinds.Switch(), section="machine", help="No words.", flag=("-q",)), compare=False
    )
    other: str = "no option"

    def __post_init__(self) -> None:
        check_options(self)


def test_a_group_is_checked_when_it_is_made() -> None:
    assert list(specs(Knobs)) == ["plain_one", "optional_share", "quiet"]
    assert stated(Knobs(plain_one=4, other="x")) == {"plain_one": 4}
    assert values_of(Knobs(optional_share=0.2)) == {"plain_one": 3, "optional_share": 0.2, "quiet": False}
    assert Knobs(quiet=True) == Knobs()  # it changes no result
    for wrong in ({"plain_one": 10}, {"optional_share": 2.0}, {"plain_one": None}):
        with pytest.raises(OptionError, match="accepted is"):
            Knobs(**wrong)


def test_flags_are_derived_from_names_unless_declared() -> None:
    assert flag_of("optional_share", specs(Knobs)["optional_share"]) == ("--optional-share",)
    assert flag_of("quiet", specs(Knobs)["quiet"]) == ("-q",)


def test_values_are_plain_for_json() -> None:
    given = {"a": Path("x"), "b": (1, [TimeSpan(1)]), "c": None}
    assert plain(given) == {"a": "x", "b": [1, ["1s:"]], "c": None}
