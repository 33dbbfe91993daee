"""What reading a clip to its end finds."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.video.probe import ShotRange, probe

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def test_probe_counts_what_is_read(encode: Callable[..., Path], disc: Callable[..., np.ndarray]) -> None:
    scene = [disc(40 + 8 * (k // 2)) for k in range(12)]
    other = [
        disc(150 - 8 * (k // 2), sky=(40, 40, 90), ground=(225, 205, 140), colour=(250, 230, 60)) for k in range(8)
    ]
    found = probe(encode("a.mp4", [*scene, *other]))
    assert (found.frames, found.width, found.height, found.fps) == (20, 192, 128, 24)
    assert found.duration_seconds == Fraction(20, 24)
    assert not found.variable_rate
    assert found.audio == ()
    assert found.shots == (ShotRange(start=0, end=12), ShotRange(start=12, end=20))
    assert found.drawings == 10


def test_probe_of_a_single_frame(make: Callable[..., Path], tmp_path: Path) -> None:
    found = probe(make("one.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.04", *X264))
    assert (found.frames, found.drawings, found.shots) == (1, 1, (ShotRange(start=0, end=1),))
    Image.new("RGB", (8, 8)).save(tmp_path / "still.png")
    still = probe(tmp_path / "still.png")
    assert (still.frames, still.fps, still.duration_seconds) == (1, None, None)
