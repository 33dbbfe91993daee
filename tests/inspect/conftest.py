"""Small pictures, and quick options of the shipped model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.settings.options import Options, Runtime


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """picture(name, left, colour): a PNG of 64 x 64 pixels, a square before a plain sky and ground."""

    def make(name: str, left: int = 20, colour: tuple[int, int, int] = (220, 60, 50)) -> Path:
        pixels = np.full((64, 64, 3), (150, 200, 235), np.uint8)
        pixels[40:] = (90, 170, 80)
        pixels[24:44, left : left + 20] = colour
        Image.fromarray(pixels).save(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def miniature() -> Backend:
    """The shipped model; as long as it is in use here, whoever loads it gets this one."""
    return load("miniature", Runtime(device="cpu"))


@pytest.fixture
def quick(tmp_path: Path, miniature: Backend) -> Callable[..., Options]:
    """Options of a quick run of the miniature."""

    def make(**given: Any) -> Options:
        usual = {"store": tmp_path / "store", "steps": 2, "size": 64, "device": "cpu", "source_prompt": "a red cube"}
        return Options.from_flat({**usual, **given})

    return make
