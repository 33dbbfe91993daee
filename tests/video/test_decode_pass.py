"""One decoding run: indices, exact times and raw pixels."""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import ignore
from pnpvideo.video.decode_pass import TIMES_ONLY, RawFormat, decode
from pnpvideo.video.open_stream import open_stream
from pnpvideo.video.video_track import VideoTrack

Make = Callable[..., Path]
RGB = RawFormat(filters=(), pixel_format="rgb24", frame_bytes=64 * 48 * 3)


@pytest.fixture
def track(make: Make) -> VideoTrack:
    path = make("a.mkv", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-c:v", "ffv1", "-pix_fmt", "bgr0")
    return open_stream(path, "matroska", track=None, allow_partial=False, patience_seconds=30, report=ignore).track


def test_frames_come_with_their_index_and_time(track: VideoTrack) -> None:
    frames = list(decode(track, 0, None, RGB))
    assert [index for index, _, _ in frames] == list(range(25))
    assert [pts for _, pts, _ in frames] == [Fraction(40 * k, 1000) for k in range(25)]
    assert {len(raw) for _, _, raw in frames} == {RGB.frame_bytes}


def test_a_part_is_the_same_frames_at_the_same_times(track: VideoTrack) -> None:
    whole = list(decode(track, 0, None, RGB))
    assert list(decode(track, 7, 12, RGB)) == whole[7:12]
    assert list(decode(track, 20, None, RGB)) == whole[20:]


def test_times_alone_take_one_byte_a_frame(track: VideoTrack) -> None:
    times = [(index, pts) for index, pts, _ in decode(track, 0, None, RGB)]
    found = list(decode(track, 0, None, TIMES_ONLY))
    assert [(index, pts) for index, pts, _ in found] == times and {len(raw) for _, _, raw in found} == {1}


def test_leaving_early_leaves_no_process(track: VideoTrack) -> None:
    frames = decode(track, 0, None, RGB)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    running = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(track.path) not in running


def test_too_many_frames_and_a_cut_file_are_refused(track: VideoTrack, monkeypatch: pytest.MonkeyPatch) -> None:
    content = track.path.read_bytes()
    monkeypatch.setattr("pnpvideo.video.decode_pass.MAX_FRAMES", 10)
    with pytest.raises(InputError, match="has more than 10 frames; name a span"):
        list(decode(track, 0, None, TIMES_ONLY))
    monkeypatch.undo()
    track.path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DecodeError, match=r"a\.mkv is damaged or cut short; decoding failed at frame \d+"):
        list(decode(track, 0, None, TIMES_ONLY))


def test_the_pixels_are_what_the_filters_make_of_them(track: VideoTrack) -> None:
    grey = RawFormat(filters=("lutrgb=r=9:g=9:b=9",), pixel_format="gray", frame_bytes=64 * 48)
    _, _, raw = next(decode(track, 0, 1, grey))
    assert np.abs(np.frombuffer(raw, np.uint8).astype(int) - 9).max() <= 1
