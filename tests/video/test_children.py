"""ffmpeg as a child process: with its whole group it is gone in time, and an ffmpeg that lies is found out."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pnpvideo.errors import DecodeError, PnPVideoError
from pnpvideo.events import Event
from pnpvideo.video import ffmpeg
from pnpvideo.video.read import read

Make = Callable[..., Path]
CLIP = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-c:v", "libx264", "-pix_fmt", "yuv420p")
OWN = f"9{os.getpid()}"
"""Seconds of this process's sleepers begin so: other runs of these tests have others."""
posix = pytest.mark.skipif(os.name != "posix", reason="wrapper scripts and process groups")


@pytest.fixture
def wrapper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """wrapper(script): what IMAGEIO_FFMPEG_EXE names; "$REAL" "$@" in it is the real ffmpeg."""
    real = ffmpeg.executable()

    def install(script: str) -> None:
        path = tmp_path / "wrapped-ffmpeg"
        path.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n", "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))

    return install


def running(mark: str) -> bool:
    for _ in range(50):  # a killed process is listed until it is reaped
        listing = subprocess.run(["ps", "-ww", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
        if not any(mark in line for line in listing.splitlines() if not line.startswith("Z")):
            return False
        time.sleep(0.02)
    return True


@posix
def test_a_wrapper_that_waits_for_a_hanging_ffmpeg_is_stopped_with_it(
    make: Make, wrapper: Callable[[str], None]
) -> None:
    path = make("a.mp4", *CLIP)
    wrapper(f'case "$*" in *rawvideo*) sleep {OWN}1;; esac\n"$REAL" "$@"')
    with pytest.raises(DecodeError, match="hangs at frame 0"):
        list(read(path, patience_seconds=1).frames())
    assert not running(f"sleep {OWN}1")


@posix
def test_what_a_wrapper_leaves_behind_delays_nothing_and_ends_with_it(
    make: Make, wrapper: Callable[[str], None]
) -> None:
    """It holds standard error open, which would be read for as long as it sleeps."""
    path = make("a.mp4", *CLIP)
    wrapper(f'sleep {OWN}2 &\n"$REAL" "$@"')
    assert len(list(read(path, patience_seconds=20).frames())) == 25
    assert not running(f"sleep {OWN}2")


@posix
def test_a_process_outside_of_the_group_that_holds_the_pipes_is_not_waited_for(
    wrapper: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "REAP_SECONDS", 0.3)
    wrapper(f"{sys.executable} -c 'import os, time; os.setsid(); time.sleep(4)' &\nsleep 0.3; echo gone >&2")
    status, said = ffmpeg.run([], 20)
    assert (status, said) == (0, "gone")


@posix
@pytest.mark.parametrize(("script", "why"), [("sleep {OWN}3", "nothing came"), ("echo broken >&2; exit 3", "broken")])
def test_a_listing_that_fails_is_said_in_time(
    script: str, why: str, wrapper: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "LISTING_SECONDS", 0.5)
    wrapper(f"{script.format(OWN=OWN)} # {os.getpid()}")
    with pytest.raises(PnPVideoError, match=f"-encoders failed: {why}.*IMAGEIO_FFMPEG_EXE"):
        ffmpeg.encoders()
    assert not running(f"sleep {OWN}3")
    ffmpeg._listing.cache_clear()


@posix
def test_a_child_has_a_group_of_its_own_and_no_standard_input(tmp_path: Path, wrapper: Callable[[str], None]) -> None:
    """Ctrl-C in a terminal goes to the group in its foreground, and ffmpeg reads keys from standard input."""
    group = '[ "$(ps -o pgid= -p $$ | tr -d " ")" = $$ ] || exit 6'
    wrapper(f'[ "$2" = -nostdin ] || exit 4\n[ -z "$(cat)" ] || exit 5\n{group}')
    assert ffmpeg.run([], 10)[0] == 0


@posix
@pytest.mark.parametrize("span", [None, (0, 20)])
def test_an_ffmpeg_that_ends_early_with_success_loses_no_frame_in_silence(
    span: tuple[int, int] | None, make: Make, wrapper: Callable[[str], None]
) -> None:
    path = make("a.mp4", *CLIP)
    clip = read(path, span=span)
    wrapper('case "$*" in *rawvideo*) "$REAL" "$@" | head -c 46080; exit 0;; esac\nexec "$REAL" "$@"')
    with pytest.raises(DecodeError, match=r"--allow-partial"):
        list(clip.frames())


@posix
def test_a_frame_that_comes_in_part_is_damage(make: Make, wrapper: Callable[[str], None]) -> None:
    path = make("a.mp4", *CLIP)
    wrapper('case "$*" in *rawvideo*) "$REAL" "$@" | head -c 50000; exit 0;; esac\nexec "$REAL" "$@"')
    with pytest.raises(DecodeError, match="failed at frame 5: the last frame came in part only"):
        list(read(path).frames())
    said: list[Event] = []
    assert len(list(read(path, allow_partial=True, report=said.append).frames())) == 5
    assert "5 frames could be read: the last frame came in part only" in str(said[-1])
