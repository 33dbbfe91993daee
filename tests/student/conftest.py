"""Examples that a student learns in seconds, and a student that needs no training."""

import numpy as np
import pytest
import torch

from pnpvideo.student.examples import Drawing, Examples
from pnpvideo.student.losses import Weights
from pnpvideo.student.network import Generator, Shape
from pnpvideo.student.student_file import Student, StudentCard
from pnpvideo.student.train import Recipe

TINY = Shape((8, 8), style=8)


def pictures(count: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> np.ndarray:
    """Smooth random pictures (count, h, w, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 255, (count, 4, 4, 3), np.uint8)
    rows, columns = np.arange(size[1]) * 4 // size[1], np.arange(size[0]) * 4 // size[0]
    return np.ascontiguousarray(coarse[:, rows][:, :, columns])


@pytest.fixture
def examples() -> Examples:
    """The teacher inverts colours."""
    source = pictures(6)
    return Examples(source, 255 - source)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        shape=TINY,
        drawing=Drawing(batch=2, patch=16),
        weights=Weights(perceptual=0),
        steps=6,
        average=0.5,
        adversarial_after=2,
    )


@pytest.fixture
def student() -> Student:
    """A student of random weights that works at 32 pixels."""
    torch.manual_seed(0)
    network = Generator(TINY).eval().requires_grad_(False)
    return Student(network, StudentCard(shape=TINY, size=(32, 32), about="a test"))
