"""Matroska for a pipe, the last delay of an APNG, animated WebP: what others read of them."""

import io
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.video.container_writers import AnimatedWebP, matroska_block, matroska_header, set_last_apng_delay
from pnpvideo.video.ffmpeg import executable


@pytest.mark.parametrize(("channels", "layout"), [(3, "rgb24"), (4, "rgba")])
def test_ffmpeg_reads_raw_frames_and_their_times(channels: int, layout: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 6, channels), np.uint8)
    times = [Fraction(0), Fraction(1, 24), Fraction(1, 3)]
    content = matroska_header(6, 4, channels)
    for time, frame in zip(times, frames, strict=True):
        content += matroska_block(time, Fraction(1, 24), frame.nbytes) + frame.tobytes()
    output = ["-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base", "1:48000", "-pix_fmt", layout]
    command = [executable(), "-v", "error", "-f", "matroska", "-i", "pipe:0", *output, "-c:v", "rawvideo"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-"], input=content, capture_output=True, check=True).stdout
    assert raw == frames.tobytes()
    listing = subprocess.run([*command, "-f", "framecrc", "-"], input=content, capture_output=True, check=True).stdout
    lines = [line.split(",") for line in listing.decode().splitlines() if line.startswith("0,")]
    assert [Fraction(int(line[2]), 48000) for line in lines] == times


@pytest.mark.parametrize(
    ("seconds", "written"), [(Fraction(1, 3), Fraction(1, 3)), (Fraction(99), Fraction(99)), (Fraction(10**6), 65535)]
)
def test_the_last_frame_of_an_apng_lasts_as_long_as_said(
    seconds: Fraction, written: Fraction, make: Callable[..., Path]
) -> None:
    path = make("a.apng", "-f", "lavfi", "-i", "testsrc=s=16x8:r=10:d=0.3", "-f", "apng")
    set_last_apng_delay(path, seconds)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 3
        image.seek(1)
        assert image.info["duration"] == 100
        image.seek(2)
        assert image.info["duration"] == pytest.approx(float(written * 1000))
        image.load()


def test_a_png_of_one_picture_is_left_alone(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    set_last_apng_delay(tmp_path / "a.png", Fraction(1))
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize("channels", [3, 4])
def test_an_animated_webp_keeps_equal_frames_durations_and_plays(channels: int) -> None:
    file = io.BytesIO()
    webp = AnimatedWebP(file, 5, 4, alpha=channels == 4, plays=3)
    picture = np.full((4, 5, channels), 120, np.uint8)
    for duration in (40, 40, 0, 2**30):
        webp.append(picture, duration)
    webp.finish()
    with Image.open(file) as image:
        assert (image.size, getattr(image, "n_frames", 1), image.info["loop"]) == ((5, 4), 4, 3)
        durations = []
        for number in range(4):
            image.seek(number)
            image.load()
            durations.append(image.info["duration"])
            assert np.abs(np.asarray(image.convert("RGBA"))[..., :channels].astype(int) - 120).max() <= 4
        assert durations == [40, 40, 1, 2**24 - 1]
