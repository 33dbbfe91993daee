"""Real media, made by ffmpeg where a test needs them."""

import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.video.clip import Frame
from pnpvideo.video.ffmpeg import executable

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make(name, *ffmpeg options): a file of that name."""

    def run(name: str, *options: str) -> Path:
        path = tmp_path / name
        subprocess.run([executable(), "-v", "error", "-nostdin", "-y", *options, f"file:{path}"], check=True)
        return path

    return run


@pytest.fixture
def encode(tmp_path: Path) -> Make:
    """encode(name, pictures, *options, fps=24): RGB pictures of one size as a video."""

    def run(name: str, pictures: Sequence[np.ndarray], *options: str, fps: int = 24) -> Path:
        height, width = pictures[0].shape[:2]
        path = tmp_path / name
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0"]
        codec = options or ("-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p")
        command = [executable(), "-v", "error", "-y", *raw, *codec, f"file:{path}"]
        subprocess.run(command, input=b"".join(picture.tobytes() for picture in pictures), check=True)
        return path

    return run


@pytest.fixture
def packets() -> Callable[..., list[tuple[int, Fraction]]]:
    """packets(path, stream): (size, time in seconds) of each packet, as the container counts."""

    def run(path: Path, stream: str) -> list[tuple[int, Fraction]]:
        command = [executable(), "-v", "error", "-copyts", "-i", f"file:{path}", "-map", f"0:{stream}"]
        listing = subprocess.run([*command, "-c", "copy", "-f", "framecrc", "-"], check=True, capture_output=True)
        lines = listing.stdout.decode().splitlines()
        base = next(Fraction(line.split(": ")[1]) for line in lines if line.startswith("#tb"))
        fields = [line.split(",") for line in lines if line.startswith("0,")]
        return sorted(((int(field[4]), int(field[2]) * base) for field in fields), key=lambda packet: packet[1])

    return run


@pytest.fixture
def disc() -> Callable[..., np.ndarray]:
    """disc(x, ...): a flat cartoon of 192 x 128, a disc at x (subpixel) before a sky and a ground."""

    def draw(
        x: float,
        *,
        sky: tuple[int, int, int] = (150, 200, 235),
        ground: tuple[int, int, int] = (90, 160, 90),
        colour: tuple[int, int, int] = (220, 60, 50),
    ) -> np.ndarray:
        columns, rows = np.meshgrid(np.arange(192), np.arange(128))
        picture = np.where((rows < 70)[..., None], np.array(sky), np.array(ground)).astype(float)
        cover = np.clip(24.5 - np.hypot(columns - x, rows - 75), 0, 1)[..., None]
        return np.rint(picture * (1 - cover) + np.array(colour) * cover).astype(np.uint8)

    return draw


@pytest.fixture
def as_frames() -> Callable[[Sequence[np.ndarray]], list[Frame]]:
    def number(pictures: Sequence[np.ndarray]) -> list[Frame]:
        return [Frame(index, Fraction(index, 24), picture) for index, picture in enumerate(pictures)]

    return number
