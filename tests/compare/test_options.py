"""The options of a comparison are checked, and known by their declarations."""

import pytest

from pnpvideo.compare.options import ComparisonOptions
from pnpvideo.errors import OptionError
from pnpvideo.option import specs


def test_values_out_of_range_are_refused() -> None:
    with pytest.raises(OptionError, match="width is 3"):
        ComparisonOptions(width=3)
    with pytest.raises(OptionError, match="frames is 4:4"):
        ComparisonOptions(frames=(4, 4))


def test_every_option_declares_its_help() -> None:
    assert list(specs(ComparisonOptions)) == ["frames", "prompt", "judge", "width", "overwrite"]
    assert all(spec.help.endswith(".") for spec in specs(ComparisonOptions).values())
