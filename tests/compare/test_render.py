"""The template is filled with a view, and units are written for people."""

from fractions import Fraction
from pathlib import Path

from pnpvideo.compare.clips import open_clips
from pnpvideo.compare.media import read_media
from pnpvideo.compare.render import View, render
from pnpvideo.compare.timeline import Track, align
from pnpvideo.events import ignore

SAMPLE = Path(__file__).parents[2] / "samples/ball.mp4"


def test_a_view_without_curves_and_runs_has_no_sections_for_them() -> None:
    media = read_media(open_clips(SAMPLE, [SAMPLE], (0, 2), ignore), 64, ignore)
    timeline = align([Track(each.times, each.end_seconds) for each in media])
    view = View(media=media, timeline=timeline, charts=[], runs=[False], rows=[], notices=[])
    assert view.data["clips"][1]["frames"] == [0, 1] and view.data["end"] == float(Fraction(2, 12))
    page = render(view)
    assert "256 × 256" in page and "12 a second" in page and "0.167 s" in page and "14 KB" in page
    for absent in ("Frame by frame", "How they were made", "notes-title"):
        assert absent not in page
