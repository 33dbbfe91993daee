"""The plot of a search is a picture, whichever bound it had."""

from pathlib import Path

import pytest
from PIL import Image

from pnpvideo.errors import OutputError
from pnpvideo.explore.plot import plot_tuning
from pnpvideo.explore.search import Goal, Measured
from pnpvideo.explore.tuning import Tuning

TRIED = (Measured((2.0,), 60.0, 4.0), Measured((4.0,), 63.0, 3.5))


@pytest.mark.parametrize("goal", [Goal(max_structure=4.0), Goal(min_agreement=60.0)])
def test_it_is_written_whole_or_not_at_all(goal: Goal, tmp_path: Path) -> None:
    tuning = Tuning(("guidance",), goal, TRIED, (), 1, {})
    plot_tuning(tuning, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as drawn:
        assert drawn.size == (864, 600)
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(OutputError):
        plot_tuning(tuning, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
