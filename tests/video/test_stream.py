"""Frames and times of a video, and how far a search for times decodes."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Event, ignore
from pnpvideo.video.open_stream import open_stream
from pnpvideo.video.stream import VideoStream

Make = Callable[..., Path]
CLIP = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-c:v", "ffv1", "-pix_fmt", "bgr0")


def opened(path: Path, events: list[Event], *, track: int | None = None, allow_partial: bool = False) -> VideoStream:
    return open_stream(
        path, "matroska", track=track, allow_partial=allow_partial, patience_seconds=30, report=events.append
    )


def seconds(*frames: int) -> list[Fraction]:
    return [Fraction(frame, 25) for frame in frames]


def test_edges_are_the_times_of_the_frames_and_the_end_of_the_last(make: Make) -> None:
    stream = opened(make("a.mkv", *CLIP), [])
    assert stream.edges() == seconds(*range(26))
    assert stream.edges(3) == seconds(0, 1, 2, 3)
    assert stream.edges(25) == stream.edges(99) == seconds(*range(26))


def test_a_search_by_time_ends_at_the_first_frame_from_there_on(make: Make) -> None:
    stream = opened(make("a.mkv", *CLIP), [])
    assert stream.edges(stop_seconds=Fraction(2, 25)) == seconds(0, 1, 2)
    assert stream.edges(stop_seconds=Fraction("0.1")) == seconds(0, 1, 2, 3)
    assert stream.edges(stop_seconds=Fraction(9)) == seconds(*range(26))


def test_a_single_frame_lasts_a_period_of_the_stated_rate(make: Make) -> None:
    path = make("a.mkv", *CLIP[:3], "testsrc=s=64x48:r=10", "-frames:v", "1", "-c:v", "ffv1")
    assert opened(path, []).edges() == [0, Fraction(1, 10)]


def test_missing_frames_of_a_span_are_an_error_or_a_notice(make: Make) -> None:
    path, events = make("a.mkv", *CLIP), list[Event]()
    with pytest.raises(DecodeError, match=r"frames 20:30 were asked for, and decoding ended before 25"):
        list(opened(path, events).frames(20, 30))
    assert [frame.index for frame in opened(path, events, allow_partial=True).frames(20, 30)] == [20, 21, 22, 23, 24]
    assert "decoding ended before 25" in str(events)


def test_the_choice_of_a_track_is_reported_and_its_language_kept(make: Make) -> None:
    two = ("-f", "lavfi", "-i", "testsrc=s=32x24:r=25:d=1", "-map", "0", "-map", "1", "-c:v", "ffv1")
    path, events = make("a.mkv", *CLIP[:4], *two, "-metadata:s:v:1", "language=fre"), list[Event]()
    assert opened(path, events).info.width == 64
    assert "track 0 is read; --track names another one" in str(events)
    events.clear()
    second = opened(path, events, track=1)
    assert (second.info.width, second.info.language, second.track.name, events) == (32, "fre", str(path), [])


def test_a_file_without_pictures_or_without_an_index_is_refused(make: Make, tmp_path: Path) -> None:
    sound = make("a.mkv", "-f", "lavfi", "-i", "sine=d=0.2", "-c:a", "flac")
    with pytest.raises(InputError, match="holds no picture track"):
        opened(sound, [])
    (tmp_path / "b.mkv").write_bytes(make("whole.mkv", *CLIP).read_bytes()[:100])
    with pytest.raises(DecodeError, match="its index is missing or damaged"):
        open_stream(tmp_path / "b.mkv", "matroska", track=None, allow_partial=True, patience_seconds=9, report=ignore)
