"""Which video track of a video is read, and what is said of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Event
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read
from pnpvideo.video.tracks import parse_tracks

Make = Callable[..., Path]
SMALL = ("-f", "lavfi", "-i", "testsrc=s=32x24:r=10:d=0.5")
LARGE = ("-f", "lavfi", "-i", "testsrc=s=96x64:r=10:d=0.5")
LONG = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=1.5")
BOTH = ("-map", "0:v", "-map", "1:v", "-c:v", "libx264", "-pix_fmt", "yuv420p")


def size_of(path: Path, said: list[Event], track: int | None = None) -> tuple[int, int, int]:
    clip = read(path, track=track, report=said.append)
    return clip.info.width, clip.info.height, len(list(clip.frames()))


def test_the_default_track_is_read_and_named(make: Make) -> None:
    path = make("a.mkv", *SMALL, *LARGE, *BOTH, "-disposition:v:0", "0", "-disposition:v:1", "default")
    said: list[Event] = []
    assert size_of(path, said) == (96, 64, 5)
    (notice,) = said
    assert "track 0 (h264, 32x24); track 1 (h264, 96x64, default); track 1 is read" in str(notice)
    assert probe(path).width == 96


@pytest.mark.parametrize("disposition", ["0", "default"])
def test_the_longest_of_equal_tracks_is_read(disposition: str, make: Make) -> None:
    flags = ("-disposition:v:0", disposition, "-disposition:v:1", disposition)
    assert size_of(make("a.mkv", *SMALL, *LONG, *BOTH, *flags), []) == (64, 48, 15)
    assert size_of(make("b.mp4", *LONG, *SMALL, *BOTH, *flags), []) == (64, 48, 15)


def test_the_first_of_equally_long_tracks_is_read(make: Make) -> None:
    assert size_of(make("a.mp4", *LARGE, *SMALL, *BOTH), []) == (96, 64, 5)


def test_a_cover_that_no_flag_marks_is_not_read_instead_of_the_film(tmp_path: Path, make: Make) -> None:
    """Though it comes first, is flagged as default, and is said to last."""
    Image.new("RGB", (200, 200), (9, 99, 199)).save(tmp_path / "cover.png")
    film = make("film.mkv", *LARGE, "-c:v", "libx264")
    cover = ("-i", str(tmp_path / "cover.png"), "-i", str(film), "-map", "0", "-map", "1", "-c:v", "copy")
    path = make("a.mkv", *cover, "-disposition:v:0", "default", "-disposition:v:1", "0")
    said: list[Event] = []
    assert size_of(path, said) == (96, 64, 5)
    assert "track 1 is read" in str(said[0])


def test_a_track_is_taken_by_its_number(make: Make) -> None:
    path = make("a.mkv", *SMALL, *LARGE, *BOTH, "-disposition:v:1", "default")
    said: list[Event] = []
    assert size_of(path, said, track=0) == (32, 24, 5)
    assert said == [], "there is nothing to say of what was asked for"
    with pytest.raises(InputError, match=r"no video track 2; it has track 0 \(h264, 32x24.*track 1 \(h264, 96x64"):
        read(path, track=2)
    with pytest.raises(OptionError, match="track is -1"):
        read(path, track=-1)


def test_a_picture_has_no_tracks_to_choose_from(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="leave --track out"):
        read(tmp_path / "a.png", track=0)


def test_a_file_of_one_track_is_read_without_a_word(make: Make) -> None:
    said: list[Event] = []
    sound = ("-f", "lavfi", "-i", "sine=d=0.5")
    assert size_of(make("a.mp4", *SMALL, *sound, "-c:v", "libx264", "-pix_fmt", "yuv420p"), said) == (32, 24, 5)
    assert said == []


@pytest.mark.parametrize("name", ["a.mov", "a.mp4"])
def test_a_file_with_a_timecode_is_read_with_its_sound(name: str, make: Make) -> None:
    """ffmpeg lists the video in a group with the timecode, and the sound after both."""
    sound = ("-f", "lavfi", "-i", "sine=d=0.5", "-f", "lavfi", "-i", "sine=d=0.5:f=880")
    maps = ("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-c:a:0", "aac", "-c:a:1", "alac")
    clip = read(make(name, *SMALL, *sound, *maps, "-timecode", "01:02:03:04"))
    assert clip.info.timecode == "01:02:03:4"
    assert [track.codec for track in clip.info.audio] == ["aac", "alac"]
    assert len(list(clip.frames())) == 5


def test_tracks_of_groups_are_listed_once_and_in_the_order_of_the_file() -> None:
    listing = (
        "Input #0, mov, from 'a.mov':\n  Metadata:\n    Stream #0:7(eng): Video: h264, 8x8\n"
        "  Duration: 00:00:01.00, start: 0.000000, bitrate: 113 kb/s\n"
        "  Stream group #0:0[0x9]: Track Reference:\n"
        "    Stream #0:2[0x3]: Video: hevc, 96x64, 10 fps (default)\n"
        "      Metadata:\n        timecode        : 01:00:00:00\n"
        "    Stream #0:3[0x4](eng): Data: none (tmcd / 0x64636D74), 0 kb/s\n"
        "  Stream group #0:1[0xa]: Track Reference:\n"
        "    Stream #0:2[0x3]: Video: hevc, 96x64, 10 fps (default)\n"
        "  Stream #0:0[0x1]: Video: h264, 32x24, 10 fps\n"
        "  Stream #0:1[0x2]: Audio: aac, 44100 Hz, mono\n"
    )
    assert [(track.index, track.codec) for track in parse_tracks(listing, "Video")] == [(0, "h264"), (2, "hevc")]


def test_tracks_are_parsed_from_what_ffmpeg_prints() -> None:
    listing = (
        "Input #0, matroska, from 'a.mkv':\n"
        "  Stream #0:0(eng): Video: h264 (High), yuv420p, 96x64, 10 fps (default)\n"
        "  Stream #0:1: Video: mjpeg, yuvj420p, 32x32 (attached pic)\n"
        "  Stream #0:2(und): Audio: aac, 44100 Hz, mono\n"
        "Stream mapping:\n  Stream #0:9: Video: rawvideo, 1x1\n"
    )
    (video,) = parse_tracks(listing, "Video")
    assert (video.index, video.codec, video.default, video.language) == (0, "h264", True, "eng")
    assert str(video) == "h264, 96x64, default"
    assert [(track.index, track.language) for track in parse_tracks(listing, "Audio")] == [(2, None)]
