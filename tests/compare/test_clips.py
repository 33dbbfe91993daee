"""Source and results are opened so that they show the same stretch of time."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from pnpvideo.compare.clips import bytes_of, duration_of, labels_of, open_clips, path_of, size_within
from pnpvideo.errors import OptionError
from pnpvideo.events import ignore
from pnpvideo.video.clip import Clip, Frame
from pnpvideo.video.span import TimeSpan
from tests.compare.conftest import Notices
from tests.compare.pictures import plain


def greys(clip: Clip) -> list[int]:
    return [int(frame.pixels[0, 0, 0]) for frame in clip.frames()]


@pytest.mark.parametrize("span", [(2, 5), TimeSpan(0.2, 0.5)])
def test_a_span_cuts_the_source_and_whole_results_but_not_results_of_the_span(
    folder_of: Callable[..., Path], notices: Notices, span: tuple[int, int]
) -> None:
    source, whole = folder_of("source", plain(8)), folder_of("whole", plain(8))
    part = folder_of("part", plain(3))
    opened = open_clips(source, [whole, part], span, notices)
    assert [greys(clip) for clip in opened] == [[60, 80, 100], [60, 80, 100], [20, 40, 60]]
    assert notices.said == ["whole is longer than the span; the same span of it is shown"]
    assert [path_of(clip).name for clip in opened] == ["source", "whole", "part"]


@pytest.mark.parametrize("count", [0, 8])
def test_no_result_and_too_many_are_refused(folder_of: Callable[..., Path], count: int) -> None:
    source = folder_of("source", plain(1))
    with pytest.raises(OptionError, match=f"{count} results were given; accepted are 1 to 7"):
        open_clips(source, [source] * count, None, ignore)


def test_the_last_frame_lasts_as_stated_or_as_long_as_the_one_before(folder_of: Callable[..., Path]) -> None:
    clip = open_clips(folder_of("a", plain(2)), [folder_of("b", plain(2))], None, ignore)[0]
    first, last = (Frame(number, Fraction(number, 4), plain(1)[0]) for number in range(2))
    assert duration_of(last, first, clip) == Fraction(1, 4)
    assert duration_of(Frame(1, Fraction(1), plain(1)[0], Fraction(3)), first, clip) == 3
    assert duration_of(first, None, clip) == 1 / (clip.info.fps or 0)


def test_sizes_shrink_and_never_grow() -> None:
    assert size_within(1920, 1080, 960) == (960, 540)
    assert size_within(320, 180, 960) == (320, 180)
    assert size_within(320, 180, None) == (320, 180)
    assert size_within(10000, 1, 100) == (100, 1)


def test_equal_names_are_told_apart_by_their_paths_and_control_characters_are_escaped() -> None:
    assert labels_of([Path("a/x.mp4"), Path("b/x.mp4"), Path("y\x1b.gif")]) == ["a/x.mp4", "b/x.mp4", "y\\x1b.gif"]


def test_the_size_of_a_folder_is_that_of_its_files(folder_of: Callable[..., Path]) -> None:
    folder = folder_of("a", plain(2))
    assert bytes_of(folder) == sum(path.stat().st_size for path in folder.iterdir())
    assert bytes_of(folder / "0000.png") == (folder / "0000.png").stat().st_size
