"""Frames of known content, and folders of them."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pnpvideo.video.folder import DURATION_KEY, TIME_KEY


def write_folder(path: Path, pictures: Sequence[np.ndarray], fps: int = 10) -> Path:
    path.mkdir()
    for number, picture in enumerate(pictures):
        times = PngInfo()
        times.add_text(TIME_KEY, str(Fraction(number, fps)))
        times.add_text(DURATION_KEY, str(Fraction(1, fps)))
        Image.fromarray(picture).save(path / f"{number:04d}.png", pnginfo=times)
    return path


def plain(count: int, width: int = 32, height: int = 24, step: int = 20) -> list[np.ndarray]:
    """Pictures of one grey each, lighter by ``step`` from frame to frame."""
    return [np.full((height, width, 3), 20 + step * number, np.uint8) for number in range(count)]


def moving(count: int, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """A textured square that moves by two pixels a frame before a still texture."""
    texture = np.random.default_rng(0).integers(60, 200, (height, width, 3)).astype(np.uint8)
    pictures = []
    for number in range(count):
        picture = texture.copy()
        picture[20:44, 10 + 2 * number : 34 + 2 * number] = texture[20:44, 10:34] // 2
        pictures.append(picture)
    return pictures
