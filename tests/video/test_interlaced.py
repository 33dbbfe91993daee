"""Interlaced video is read as whole frames, one for each of the file's, and that is said."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.errors import InputError
from pnpvideo.events import Event
from pnpvideo.video.ffmpeg import filters
from pnpvideo.video.read import read

Make = Callable[..., Path]
BAR = "color=black:s=96x64:r=50:d=1,format=yuv420p,geq=lum='16+200*lt(mod(X+6*N,96),24)':cb=128:cr=128"
MOVING = ("-f", "lavfi", "-i", BAR)
FIELDS = {
    "H.264": ("a.mp4", "-c:v", "libx264", "-crf", "10", "-flags", "+ilme+ildct"),
    "MPEG-2": ("a.ts", "-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ilme+ildct"),
    "FFV1": ("a.mkv", "-c:v", "ffv1", "-field_order", "tt"),
}


@pytest.fixture
def interlaced(make: Make) -> Callable[[str], Path]:
    """interlaced(codec): 25 frames of a pattern that moves from field to field."""

    def run(codec: str) -> Path:
        name, *options = FIELDS[codec]
        return make(name, *MOVING, "-vf", "interlace=scan=tff:lowpass=0,setfield=tff", *options, "-pix_fmt", "yuv420p")

    return run


def combing(path: Path) -> float:
    """How much rows differ from both their neighbours, more than these from each other."""
    pictures = np.stack([frame.pixels for frame in read(path).frames()]).astype(int)
    above, row, below = pictures[:, :-2], pictures[:, 1:-1], pictures[:, 2:]
    return float(np.maximum(np.minimum(abs(row - above), abs(row - below)) - abs(above - below), 0).mean())


@pytest.mark.parametrize("codec", FIELDS)
def test_fields_become_whole_frames_one_for_each(
    codec: str, interlaced: Callable[[str], Path], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, said = interlaced(codec), list[Event]()
    clip = read(path, report=said.append)
    frames = list(clip.frames())
    assert [frame.pts_seconds for frame in frames] == [Fraction(number, 25) for number in range(25)]
    assert sum("is interlaced; one whole frame is made of the two fields" in str(event) for event in said) == 1
    progressive = make("b.mp4", *MOVING, "-r", "25", "-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p")
    monkeypatch.setattr("pnpvideo.video.ffmpeg.filters", frozenset)  # without bwdif, frames are read as they are
    as_it_is = combing(path)
    assert combing(progressive) < 1 and as_it_is > 5
    monkeypatch.undo()
    assert combing(path) < as_it_is / 10


def test_the_frames_of_a_span_are_those_of_the_whole(interlaced: Callable[[str], Path]) -> None:
    path = interlaced("H.264")
    whole, span = (list(clip.frames()) for clip in (read(path), read(path, span=(5, 9))))
    assert [frame.index for frame in span] == [5, 6, 7, 8]
    assert all(np.array_equal(frame.pixels, whole[frame.index].pixels) for frame in span)


def test_progressive_video_is_left_alone_and_nothing_is_said(make: Make) -> None:
    said: list[Event] = []
    path = make("a.mp4", *MOVING, "-c:v", "libx264", "-pix_fmt", "yuv420p")
    assert len(list(read(path, report=said.append).frames())) == 50 and said == []


def test_what_cannot_be_deinterlaced_is_read_as_it_is_and_that_is_said(
    interlaced: Callable[[str], Path], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Event] = []
    small = make("s.mkv", "-f", "lavfi", "-i", "testsrc2=s=8x8:r=25:d=1", "-vf", "setfield=tff", "-c:v", "ffv1")
    assert len(list(read(small, report=said.append).frames())) == 25
    assert "is read as it is, since it has fewer than 16 rows" in str(said)
    found = filters()
    monkeypatch.setattr("pnpvideo.video.ffmpeg.filters", lambda: found - {"bwdif"})
    assert len(list(read(interlaced("H.264"), report=said.append).frames())) == 25
    assert "since this ffmpeg lacks the filter bwdif" in str(said)


def test_decord_refuses_interlaced_video(interlaced: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match="none that are interlaced"):
        read(interlaced("H.264"), decoder="decord")
