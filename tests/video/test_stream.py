"""Frames and times of a video, and how far a search for times decodes."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Event, ignore
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.open_stream import open_stream
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read
from pnpvideo.video.span import TimeSpan
from pnpvideo.video.stream import VideoStream
from pnpvideo.video.tracks import read_packets
from pnpvideo.video.write import Writer

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


@pytest.mark.parametrize("last_seconds", [Fraction(5), Fraction(1, 5)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_how_long_the_last_frame_is_shown_survives_reading_and_writing(
    name: str, last_seconds: Fraction, tmp_path: Path
) -> None:
    pictures = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    pictures[0].save(
        tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=[1000, 1000, int(1000 * last_seconds)]
    )
    source = tmp_path / "in.gif"
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        clip = read(source)
        with Writer(tmp_path / folder / name, clip.info) as writer:
            for frame in clip.frames():
                writer.append(frame.pixels, frame.pts_seconds, frame.duration_seconds)
        source = tmp_path / folder / name
        frames = list(read(source).frames())
        assert [float(frame.pts_seconds) for frame in frames] == pytest.approx([0, 1, 2], abs=0.001)
        assert frames[-1].duration_seconds is not None and abs(frames[-1].duration_seconds - last_seconds) < Fraction(
            1, 500
        )
    assert probe(source).duration_seconds == pytest.approx(2 + last_seconds, abs=0.002)
    span = list(read(source, span=TimeSpan(Fraction(0), 2 + last_seconds)).frames())
    assert len(span) == 3 and span[-1].duration_seconds == frames[-1].duration_seconds


def test_a_last_frame_that_lasts_as_long_as_the_others_has_no_duration_of_its_own(make: Make) -> None:
    for path in (make("a.mp4", *CLIP[:4], "-c:v", "libx264"), make("a.avi", *CLIP[:4], "-c:v", "mpeg4")):
        *_, last = read(path).frames()
        assert (last.index, last.duration_seconds) == (24, None)


@pytest.mark.parametrize("ticks", [1, 200])
def test_a_last_frame_of_a_tick_or_that_was_cut_keeps_its_step(ticks: int, tmp_path: Path) -> None:
    info = ClipInfo(path=None, kind="video", width=64, height=48, time_base=Fraction(1, 10000))
    with Writer(tmp_path / "a.mp4", info) as writer:
        for number in range(6):
            writer.append(np.zeros((48, 64, 3), np.uint8), Fraction(number), Fraction(5))
    stated, tick = (struct.pack(">II", 1, each) for each in (50000, ticks))  # frames, and how long each is shown
    content = (tmp_path / "a.mp4").read_bytes()
    assert stated in content[content.index(b"stts") :]
    (tmp_path / "b.mp4").write_bytes(content.replace(stated, tick, 1))
    lasts = [list(read(tmp_path / name).frames())[-1].duration_seconds for name in ("a.mp4", "b.mp4")]
    assert lasts == [5, None]


def test_a_last_frame_that_is_not_decoded_last_has_its_duration_from_the_tracks_header(tmp_path: Path) -> None:
    info = ClipInfo(path=None, kind="video", width=64, height=48, time_base=Fraction(1, 10000))
    for name in ("a.mp4", "a.mov"):
        with Writer(tmp_path / name, info) as writer:
            for number in range(3):  # equal pictures become I, P, B
                writer.append(np.zeros((48, 64, 3), np.uint8), Fraction(number), Fraction(5))
        (packets,) = read_packets(tmp_path / name, "mov", [0], patience_seconds=30)
        assert not packets.ends_in_order and packets.last_duration_seconds == 1
        assert list(read(tmp_path / name).frames())[-1].duration_seconds == 5


@pytest.mark.parametrize(
    ("size", "matrix"),
    [("1280x720", "bt709"), ("720x1280", "bt709"), ("720x576", "smpte170m"), ("1270x718", "smpte170m")],
)
def test_untagged_colours_are_read_as_players_read_them_and_written_as_they_were_read(
    size: str, matrix: str, make: Make, tmp_path: Path
) -> None:
    green, purple = (30, 160, 60), (150, 40, 170)
    halves = (
        f"color=0x{bytes(green).hex()}:s={size}[a];color=0x{bytes(purple).hex()}:s={size}[b];[a][b]hstack,crop=iw/2"
    )
    untagged = f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p,setparams=colorspace=unknown"
    path = make("a.mp4", "-filter_complex", f"{halves},{untagged}", "-frames:v", "2", "-c:v", "libx264", "-crf", "5")
    clip = read(path)
    frames = list(clip.frames())
    assert clip.info.colour.matrix is None
    with Writer(tmp_path / "b.mp4", clip.info) as writer:
        for frame in frames:
            writer.append(frame.pixels, frame.pts_seconds)
    written = read(tmp_path / "b.mp4")
    assert written.info.colour.matrix == "bt709"
    for pixels in (frames[0].pixels, next(written.frames()).pixels):
        middle = pixels.shape[1] // 2
        for half, colour in ((pixels[:, : middle - 8], green), (pixels[:, middle + 8 :], purple)):
            assert np.abs(half.reshape(-1, 3).mean(0) - colour).max() < 6


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
    with pytest.raises(InputError, match="holds no video track"):
        opened(sound, [])
    (tmp_path / "b.mkv").write_bytes(make("whole.mkv", *CLIP).read_bytes()[:100])
    with pytest.raises(DecodeError, match="its index is missing or damaged"):
        open_stream(tmp_path / "b.mkv", "matroska", track=None, allow_partial=True, patience_seconds=9, report=ignore)
