"""A clip's description from ffmpeg's log of its first frame."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Event
from pnpvideo.video.clip import AudioTrack, Colour
from pnpvideo.video.read import read
from pnpvideo.video.stream_info import FirstFrame, has_alpha_mode, has_stream_header, parse_info

LOG = """Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/a.mp4':
  Duration: 00:01:02.50, start: 0.080000, bitrate: 100 kb/s
  Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(tv, bt709), 720x576 [SAR 16:15] (default)
  Stream #0:1[0x2](eng): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, stereo, fltp, 128 kb/s (default)
Stream mapping:
[Parsed_showinfo_0 @ 0x5] config in time_base: 1/12800, frame_rate: 25/1
[Parsed_showinfo_0 @ 0x5] n:   0 pts:   1024 pts_time:0.08 duration: 512 fmt:yuv420p cl:left sar:16/15 s:720x576 i:P
[Parsed_showinfo_0 @ 0x5]   color_range:tv color_space:bt709 color_primaries:bt709 color_trc:unknown
"""


def test_the_log_becomes_a_description() -> None:
    info, stored_size = parse_info(Path("a.mp4"), "mov", LOG)
    assert stored_size == (720, 576) and (info.width, info.height) == (768, 576)
    assert (info.kind, info.container, info.fps, info.alpha) == ("video", "mov", 25, False)
    assert info.duration_seconds == Fraction("62.5") and info.time_base == Fraction(1, 12800)
    assert info.container_start_seconds == info.first_pts_seconds == Fraction(8, 100)
    assert info.colour == Colour(matrix="bt709", primaries="bt709", full_range=False)
    description = "aac (LC) (mp4a / 0x6134706D), 44100 Hz, stereo, fltp, 128 kb/s (default)"
    assert info.audio == (AudioTrack(codec="aac", description=description),)


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        ("frame_rate: 25/1", "frame_rate: 90000/1", "fps", None),  # the tick of a clock
        ("frame_rate: 25/1", "frame_rate: 0/1", "fps", None),
        ("00:01:02.50", "N/A", "duration_seconds", None),
        ("fmt:yuv420p", "fmt:yuva420p", "alpha", True),
        ("fmt:yuv420p", "fmt:pal8", "alpha", True),
        ("sar:16/15", "sar:0/1", "width", 720),
    ],
)
def test_what_the_log_does_not_say_is_not_made_up(old: str, new: str, field: str, value: object) -> None:
    info, _ = parse_info(Path("a.mp4"), "mov", LOG.replace(old, new) if old[0] != "0" else LOG.replace(old, new, 1))
    assert getattr(info, field) == value


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("s:720x576", "s:20000x20000", "accepted are frames of up to"),
        ("color_space:bt709", "color_space:ycgco", "colour matrix is ycgco"),
        ("color_trc:unknown", "color_trc:log100", "transfer is log100"),
        (
            "Stream mapping:",
            "DOVI configuration record: version: 1.0, profile: 5, x",
            "Dolby Vision of profile 5",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(old: str, new: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        parse_info(Path("a.mp4"), "mov", LOG.replace(old, new))


def test_a_log_without_a_frame_is_damage() -> None:
    with pytest.raises(DecodeError, match=r"a\.mp4: the first frame cannot be decoded: .*moov atom not found"):
        parse_info(Path("a.mp4"), "mov", "[mov @ 0x5] moov atom not found\n")
    assert has_stream_header(LOG) and not has_stream_header("Input #0")
    assert has_alpha_mode("    alpha_mode      : 1\n") and not has_alpha_mode("    alpha_mode      : 0\n")


def test_a_clip_that_is_turned_by_an_odd_angle_is_read_with_a_notice(make: Callable[..., Path]) -> None:
    upright = make("a.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    said: list[Event] = []
    clip = read(make("b.mp4", "-display_rotation", "30", "-i", str(upright), "-c", "copy"), report=said.append)
    first, *rest = (frame.pixels for frame in clip.frames())
    assert first.shape == (48, 64, 3) and len(rest) == 4
    assert max(first[-1, 0]) < 16, "the corner is empty"
    (notice,) = said
    assert "rotated by no multiple of 90 degrees" in str(notice)


def test_damage_of_the_first_frames_is_noticed(make: Callable[..., Path]) -> None:
    path = make("a.ts", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-c:v", "libx264", "-g", "12")
    first_frame = FirstFrame(path, "mpegts", 30)
    assert parse_info(path, "mpegts", first_frame.describe("0:0"))[1] == (64, 48)
    assert first_frame.decodes_after(0, 0)
    content = bytearray(path.read_bytes())
    place = 188 * 8 + 20  # within a packet of the first picture, behind its header
    content[place : place + 150] = bytes(150)
    path.write_bytes(content)
    assert not first_frame.decodes_after(0, 0)
