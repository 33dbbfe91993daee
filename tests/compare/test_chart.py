"""Curves become SVG paths and texts."""

from pnpvideo.compare.chart import chart_of, path_of
from pnpvideo.compare.curves import Curve


def test_paths_run_over_the_box_with_gaps_and_dots() -> None:
    assert path_of([0.0, 1.0, 0.5], 0, 1) == "M0 100h0L500 0L1000 50"
    assert path_of([None, 1.0, None, 0.0, 0.0], 0, 1) == "M250 0h0M750 100h0L1000 100"
    assert path_of([0.5], 0, 1) == "M0 50H1000"
    assert path_of([None], 0, 1) == ""


def test_a_chart_names_the_worst_moment_of_the_results() -> None:
    values = ((9.0, 9.0, 9.0), (None, 0.25, 0.5), (None, 0.75, 0.1))
    low = chart_of(Curve(name="a", meaning="m", better="low", digits=1, values=values))
    high = chart_of(Curve(name="a", meaning="m", better="high", digits=2, values=values))
    assert (low.worst, high.worst) == (1, 2)
    assert low.texts[1] == ("–", "0.2", "0.5") and high.means[2] == "0.42"
    assert low.meaning == "m; lower is better" and (low.low, low.high) == ("0.0", "9.0")
