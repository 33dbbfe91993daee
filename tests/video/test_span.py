"""Spans in seconds: which frames they take, of every kind of source, and what is refused."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import InputError, OptionError
from pnpvideo.video.clip import Clip
from pnpvideo.video.read import read
from pnpvideo.video.span import TimeSpan
from pnpvideo.video.write import Writer

Make = Callable[..., Path]
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
CONSTANT = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", *X264)
# 12 frames at 24 a second: six in a row, then every second one: 0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16
VARIABLE = (
    *("-f", "lavfi", "-i", "testsrc=s=64x48:r=24:d=0.5"),
    *("-vf", "setpts='if(lt(N,6),N,2*N-6)/24/TB'", "-fps_mode", "passthrough", *X264),
)


def indices(clip: Clip) -> list[int]:
    """Decode the clip; its description must fit what comes."""
    frames = list(clip.frames())
    assert clip.span is not None and clip.span_seconds is not None
    found = [frame.index for frame in frames]
    assert found == list(range(*clip.span)) and clip.info.frames == len(found)
    assert frames[0].pts_seconds == 0
    assert frames[-1].duration_seconds is not None
    assert clip.info.duration_seconds == frames[-1].pts_seconds + frames[-1].duration_seconds
    assert clip.info.duration_seconds == clip.span_seconds[1] - clip.span_seconds[0]
    return found


@pytest.mark.parametrize(
    ("span", "frames"),
    [
        (TimeSpan(0.2, 0.4), range(5, 10)),  # frame 5 begins at 0.2 s, frame 10 at 0.4 s
        (TimeSpan(0.21, 0.41), range(6, 11)),
        (TimeSpan(0.19, 0.201), range(5, 6)),
        (TimeSpan(0, 0.04), range(0, 1)),
        (TimeSpan(0.9), range(23, 25)),
        (TimeSpan(0), range(0, 25)),
        (TimeSpan(Fraction(24, 25), 1), range(24, 25)),
    ],
)
def test_a_frame_belongs_to_the_span_that_it_begins_in(span: TimeSpan, frames: range, make: Make) -> None:
    assert indices(read(make("a.mp4", *CONSTANT), span=span)) == list(frames)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize(
    ("span", "frames"),
    [
        (TimeSpan(0.2, 0.3), [5, 6]),  # at 0.208 and 0.25 s
        (TimeSpan(0.26, 0.42), [7, 8]),  # at 0.333 and 0.417 s
        (TimeSpan(0.55), [10, 11]),
    ],
)
def test_each_frame_of_a_variable_rate_counts_by_its_own_time(
    name: str, span: TimeSpan, frames: list[int], make: Make
) -> None:
    path = make(name, *VARIABLE)
    whole, clip = list(read(path).frames()), read(path, span=span)
    assert indices(clip) == frames
    for frame in clip.frames():
        assert np.array_equal(frame.pixels, whole[frame.index].pixels)
        assert frame.pts_seconds == whole[frame.index].pts_seconds - whole[frames[0]].pts_seconds


def test_times_count_from_the_first_frame_not_from_the_containers_zero(make: Make) -> None:
    late = make("late.mkv", "-itsoffset", "5", "-i", str(make("a.mp4", *CONSTANT)), "-c", "copy")
    assert indices(read(late, span=TimeSpan(0.2, 0.4))) == list(range(5, 10))
    with pytest.raises(InputError, match=r"lasts 1\.000 s; the span 5\.2s:5\.4s lies beyond"):
        read(late, span=TimeSpan(5.2, 5.4))


def animation(path: Path) -> Path:
    pictures = [Image.fromarray(np.full((8, 8, 3), 40 * k, np.uint8)) for k in range(5)]
    delays = [100, 300, 50, 50, 200]  # milliseconds: frames begin at 0, 0.1, 0.4, 0.45 and 0.5 s
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays, loop=0)
    return path


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_frames_of_an_animation_count_by_their_delays(name: str, tmp_path: Path) -> None:
    path = animation(tmp_path / name)
    assert indices(read(path, span=TimeSpan(0.1, 0.45))) == [1, 2]
    assert indices(read(path, span=TimeSpan(0.42))) == [3, 4]
    with pytest.raises(InputError, match=r"no frame begins in the span 0\.2s:0\.4s; frame 1 is shown from 0\.100 s to"):
        read(path, span=TimeSpan(0.2, 0.4))
    with pytest.raises(InputError, match=r"lasts 0\.700 s; the span 0\.5s:2s lies beyond"):
        read(path, span=TimeSpan(0.5, 2))


def test_a_folder_and_a_still_take_seconds_too(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(12):
        Image.new("RGB", (8, 8), (20 * k, 0, 0)).save(folder / f"{k}.png")
    assert indices(read(folder, span=TimeSpan(0.25, 0.4))) == [6, 7, 8, 9]  # 24 a second
    assert [frame.index for frame in read(folder / "3.png", span=TimeSpan(0)).frames()] == [0]
    with pytest.raises(InputError, match=r"lasts 0\.040 s"):
        read(folder / "3.png", span=TimeSpan(0, 1))


def test_decord_takes_seconds_too(make: Make) -> None:
    pytest.importorskip("decord")
    path = make("a.mp4", *CONSTANT)
    frames = list(read(path, decoder="decord", span=TimeSpan(0.2, 0.4)).frames())
    assert [frame.index for frame in frames] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("rate", ["24", "30000/1001"])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_the_whole_length_is_accepted_although_containers_round_times(rate: str, name: str, make: Make) -> None:
    """Matroska counts in milliseconds: 24 frames at 24 a second seem to end at 0.999 s."""
    path = make(name, "-f", "lavfi", "-i", f"testsrc=s=64x48:r={rate}", "-frames:v", "24", *X264)
    assert indices(read(path, span=TimeSpan(0.5, 1 if rate == "24" else 0.8008)))[-1] == 23
    with pytest.raises(InputError, match="lies beyond"):
        read(path, span=TimeSpan(0.5, 1.04))


@pytest.mark.parametrize("span", [TimeSpan(1), TimeSpan(7, 9), TimeSpan(0.5, 7)])
def test_a_span_beyond_the_end_is_refused(span: TimeSpan, make: Make) -> None:
    with pytest.raises(InputError, match=rf"a\.mp4 lasts 1\.000 s; the span {span} lies beyond"):
        read(make("a.mp4", *CONSTANT), span=span)


def test_sound_is_cut_where_the_frames_are(make: Make, tmp_path: Path, packets: Callable[..., list]) -> None:
    source = make("a.mp4", *CONSTANT[:4], "-f", "lavfi", "-i", "sine=440:d=1", *X264, "-c:a", "aac")
    by_time, by_number = read(source, span=TimeSpan(0.21, 0.61)), read(source, span=(6, 16))
    assert by_time.span == by_number.span and by_time.span_seconds == by_number.span_seconds
    for name, clip in (("time.mp4", by_time), ("number.mp4", by_number)):
        with Writer(tmp_path / name, clip.info, span_seconds=clip.span_seconds) as writer:
            for frame in clip.frames():
                writer.append(frame.pixels, frame.pts_seconds, frame.duration_seconds)
    assert packets(tmp_path / "time.mp4", "a:0") == packets(tmp_path / "number.mp4", "a:0") != []


def test_damage_after_the_span_does_not_matter(make: Make) -> None:
    path = make("a.mkv", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=8", *X264, "-g", "25")
    content = bytearray(path.read_bytes())
    place = len(content) * 3 // 4
    content[place : place + 3000] = bytes(3000)
    path.write_bytes(content)
    assert indices(read(path, span=TimeSpan(0.2, 0.4))) == list(range(5, 10))


@pytest.mark.parametrize(
    ("start", "stop", "complaint"),
    [
        (1, 1, "the span is 1s:1s"),
        (2, 1, "the span is 2s:1s"),
        (-1, 1, "the span is -1s:1s"),
        (float("nan"), None, "a time is nan"),
        (0, float("inf"), "a time is inf"),
    ],
)
def test_spans_that_make_no_sense_are_refused(start: float, stop: float | None, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        TimeSpan(start, stop)


def test_a_float_stands_for_the_decimal_that_it_prints_as() -> None:
    assert TimeSpan(0.1, 1.001) == TimeSpan(Fraction(1, 10), Fraction(1001, 1000))
    assert str(TimeSpan(2.5, 4)) == "2.5s:4s" and str(TimeSpan(0.001)) == "0.001s:"
