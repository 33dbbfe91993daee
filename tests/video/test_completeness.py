"""Missing frames are noticed by the rhythm of the times and by the stated duration."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import pytest

from pnpvideo.video.clip import AudioTrack, ClipInfo
from pnpvideo.video.completeness import CompletenessCheck


def doubt(frames: Iterable[int], **info: Any) -> str | None:
    """frames: the numbers of those that are there, at 25 a second."""
    usual: dict[str, Any] = {"container": "matroska", "fps": Fraction(25), "duration_seconds": Fraction(2)}
    check = CompletenessCheck(ClipInfo(path=None, kind="video", width=4, height=4, **(usual | info)))
    for frame in frames:
        check.add(Fraction(frame, 25))
    return check.doubt()


def test_a_whole_clip_raises_no_doubt() -> None:
    assert doubt(range(50)) is None


def test_gaps_in_an_even_rate_are_named() -> None:
    text = doubt(frame for frame in range(50) if frame not in (20, 21, 40))
    assert text is not None and "before frame 20, 38, in which 3 frames seem to be missing" in text


@pytest.mark.parametrize("container", ["mov", "ogg"])
def test_containers_with_a_table_of_frames_are_exempt(container: str) -> None:
    assert doubt((frame for frame in range(50) if frame != 20), container=container) is None


def test_a_rate_that_varies_says_nothing() -> None:
    assert doubt(range(0, 100, 2)) is None, "more holes than a tenth"
    assert doubt(frame + (frame > 20) for frame in range(8)) is None, "too short for a rhythm"
    assert doubt((frame for frame in range(50) if frame != 20), fps=None) is None


def test_an_end_before_the_stated_duration_is_named_unless_sound_explains_it() -> None:
    text = doubt(range(40))
    assert text == "it states a length of 2.00 s, but its frames end at 1.60 s"
    assert doubt(range(48)) is None, "two periods are allowed"
    assert doubt(range(40), audio=(AudioTrack(codec="aac", description="aac"),)) is None
    assert doubt(range(40), duration_seconds=None) is None
    assert doubt(range(40), container="mpegts") is None, "its duration is guessed by ffmpeg"
