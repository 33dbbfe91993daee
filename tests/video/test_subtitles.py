"""Subtitles and languages of the source are in the output, in sync, or it is said that they are not."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pnpvideo.events import Event, Notice
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.video.ffmpeg import executable
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer

Make = Callable[..., Path]
WORDS = "1\n00:00:00,200 --> 00:00:00,600\nHello\n\n2\n00:00:01,000 --> 00:00:01,400\nthere\n\n"
PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=2")


@pytest.fixture
def source(make: Make, tmp_path: Path) -> Callable[..., Path]:
    """source(name, codec): a clip with the subtitles WORDS, in German."""

    def run(name: str, codec: str, *more: str) -> Path:
        words = tmp_path / "words.srt"
        words.write_text(WORDS)
        tracks = ("-map", "0:v", "-map", "1", "-c:v", "libvpx" if name.endswith("webm") else "libx264", "-c:s", codec)
        tags = ("-metadata:s:s:0", "language=ger", "-metadata:s:s:0", "title=Wörter")
        return make(name, *PICTURES, "-i", str(words), *tracks, *tags, *more)

    return run


def copied(source: Path, output: Path) -> None:
    """Write what is read, unchanged."""
    clip = read(source)
    with Writer(output, clip.info) as writer:
        for frame in clip.frames():
            writer.append(frame.pixels, frame.pts_seconds, frame.duration_seconds)


def events(path: Path) -> str:
    command = [executable(), "-v", "error", "-i", f"file:{path}", "-map", "0:s:0", "-f", "srt", "-"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def listing(path: Path) -> str:
    return subprocess.run([executable(), "-i", f"file:{path}"], capture_output=True, text=True).stderr


@pytest.mark.parametrize(
    ("given", "codec"), [("in.mp4", "mov_text"), ("in.mkv", "srt"), ("in.mkv", "ass"), ("in.webm", "webvtt")]
)
@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
def test_subtitles_are_kept_with_their_times_and_language(
    name: str, given: str, codec: str, source: Callable[..., Path], tmp_path: Path
) -> None:
    path = source(given, codec)
    copied(path, tmp_path / name)
    plain = events(tmp_path / name)
    assert "Hello" in plain and "there" in plain
    assert "00:00:00,200 --> 00:00:00,600" in plain and "00:00:01,000 --> 00:00:01,400" in plain
    assert "(ger): Subtitle" in listing(tmp_path / name)


def test_subtitles_stay_beside_pictures_that_begin_late(source: Callable[..., Path], tmp_path: Path) -> None:
    path = source("in.mkv", "srt", "-output_ts_offset", "5")
    assert read(path).info.first_pts_seconds == 5
    copied(path, tmp_path / "out.mkv")
    assert "00:00:00,200 --> 00:00:00,600" in events(tmp_path / "out.mkv")


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize("language", ["fre", None])
def test_the_picture_track_has_the_sources_language_or_none(
    name: str, language: str | None, make: Make, tmp_path: Path
) -> None:
    tags = ("-metadata:s:v:0", f"language={language}") if language else ()
    path = make("in.mp4", *PICTURES, "-c:v", "libx264", *tags)
    assert read(path).info.language == language
    copied(path, tmp_path / name)
    assert read(tmp_path / name).info.language == language
    assert "(eng)" not in listing(tmp_path / name)


@pytest.mark.parametrize(
    ("output", "given", "why"),
    [("out.gif", {}, "the output cannot hold it"), ("out.mp4", {"frames": (0, 2)}, "of a span no subtitles are kept")],
)
def test_subtitles_that_are_left_out_are_said(
    output: str,
    given: dict[str, Any],
    why: str,
    source: Callable[..., Path],
    options: Callable[..., Options],
    tmp_path: Path,
) -> None:
    said: list[Event] = []
    chosen = options(steps=1, coherence="none", method="sdedit", **given)
    translate(source("in.mkv", "srt"), "a fox", tmp_path / output, chosen, report=said.append)
    messages = [event.message for event in said if isinstance(event, Notice)]
    assert [message for message in messages if "subtitle" in message] == [
        f"subtitle track 0 (subrip) is left out: {why}"
    ]
