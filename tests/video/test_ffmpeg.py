"""Each start of ffmpeg says what it may open, takes paths for paths, and stands apart from the terminal."""

import itertools
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.errors import DecodeError
from pnpvideo.video import container_writers
from pnpvideo.video.ffmpeg import executable
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer

CLIP = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2", "-f", "lavfi", "-i", "sine=d=0.2", "-c:v", "libx264")
RECORDER = """#!{python}
import json, os, sys
with open({journal!r}, "a") as file:
    file.write(json.dumps({{"arguments": sys.argv[1:], "leads": os.getsid(0) == os.getpid()}}) + "\\n")
os.execv({real!r}, [{real!r}, *sys.argv[1:]])
"""


@dataclass(frozen=True)
class Start:
    """One start of ffmpeg. leads: its process leads a session of its own."""

    arguments: list[str]
    leads: bool

    def inputs(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Each input but our own pipe, with the options that stand before it and belong to it."""
        options: dict[str, str] = {}
        for name, value in itertools.pairwise(self.arguments):
            if name == "-i":
                if value != "pipe:0":
                    yield value, options
                options = {}
            elif name.startswith("-"):
                options[name] = value


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Start]]:
    """What ffmpeg was started with so far, by everything but what makes the tests' own media."""
    journal, recorder = tmp_path / "starts.jsonl", tmp_path / "recording-ffmpeg"
    recorder.write_text(RECORDER.format(python=sys.executable, journal=str(journal), real=executable()), "utf-8")
    recorder.chmod(recorder.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(recorder))
    return lambda: [Start(**json.loads(line)) for line in journal.read_text("utf-8").splitlines()]


def test_every_start_is_confined_to_the_one_file(
    make: Callable[..., Path], starts: Callable[[], list[Start]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make("in.mkv", *CLIP)
    before = len(starts())
    monkeypatch.chdir(tmp_path)
    probe(source.name)
    clip = read(source.name, span=(1, 4))
    with Writer("out.mp4", clip.info, span_seconds=clip.span_seconds) as writer:
        for frame in clip.frames():
            writer.append(frame.pixels, frame.pts_seconds)
    ours = [
        start for start in starts()[before:] if not {"-encoders", "-codecs"} & set(start.arguments)
    ]  # they open no file
    opened = [found for start in ours for found in start.inputs()]
    assert len(ours) >= 5 and len(opened) >= len(ours)  # looked at, timed, read, written with sound
    for start in ours:
        assert "-nostdin" in start.arguments
        assert start.leads
        assert start.arguments[-1] in ("pipe:1", os.devnull) or start.arguments[-1].startswith("file:/")
    for url, options in opened:
        assert url == f"file:{source}"
        assert options["-protocol_whitelist"] == "file,pipe"
        assert options["-format_whitelist"] == options["-f"] == "matroska"
        assert int(options["-max_pixels"]) <= 2**26


def test_frames_at_one_time_are_refused(tmp_path: Path) -> None:
    pixels = np.full((48, 64, 3), 90, np.uint8)
    with open(tmp_path / "in.mkv", "wb") as file:
        file.write(container_writers.matroska_header(64, 48, 3))
        for milliseconds in (0, 40, 40, 80):
            at, shown = Fraction(milliseconds, 1000), Fraction(40, 1000)
            file.write(container_writers.matroska_block(at, shown, pixels.nbytes) + pixels.tobytes())
    with pytest.raises(DecodeError, match="time stamp of frame 2"):
        list(read(tmp_path / "in.mkv").frames())


TALKER = """#!{python}
import subprocess, sys
done = subprocess.run([{real!r}, *sys.argv[1:]], stderr=subprocess.PIPE)
sys.stderr.buffer.write(done.stderr.replace(b"Audio: aac", b"Audio: aac \\x1b[31m"))
sys.exit(done.returncode)
"""


def test_what_ffmpeg_says_of_a_sound_track_cannot_drive_a_terminal(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make("in.mp4", *CLIP)
    talker = tmp_path / "talking-ffmpeg"
    talker.write_text(TALKER.format(python=sys.executable, real=executable()), "utf-8")
    talker.chmod(talker.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(talker))
    (track,) = read(source).info.audio
    assert "[31m" in track.description
    assert track.description.isprintable()
