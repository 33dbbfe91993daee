"""Input of judge and captioner: its size, random augmentation, and CLIP's normalisation."""

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

PICTURE, PATCH = 128, 16
"""Pixels: the width and height of a picture, and of a patch of the vision towers."""
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's own preprocessing."""


@dataclass(frozen=True)
class Augmentation:
    """A flip, a shift and a brightness, sampled for each picture of each step.

    right, down: -1, 0 or 1, in half patches; uncovered pixels repeat the edge. brightness: a factor.
    """

    flipped: bool = False
    right: int = 0
    down: int = 0
    brightness: float = 1.0

    @classmethod
    def random(cls, rng: Random) -> "Augmentation":
        return cls(rng.random() < 0.5, rng.randint(-1, 1), rng.randint(-1, 1), rng.uniform(0.85, 1.1))

    def move(self, picture: Tensor, step: int) -> Tensor:
        """Flip and shift (c, h, w), by ``step`` cells for each half patch."""
        picture = picture.flip(2) if self.flipped else picture
        rows, columns = (torch.arange(n, device=picture.device) for n in picture.shape[1:])
        rows = (rows - step * self.down).clamp(0, len(rows) - 1)
        return picture[:, rows][:, :, (columns - step * self.right).clamp(0, len(columns) - 1)]

    def apply(self, picture: Tensor) -> Tensor:
        """Augment a picture (3, PICTURE, PICTURE) uint8; the result has the same shape and type."""
        return (self.move(picture, PATCH // 2).float() * self.brightness).clamp(0, 255).to(torch.uint8)


def preprocess(pictures: Tensor) -> Tensor:
    """(b, 3, h, w) uint8, h and w multiples of PICTURE -> input of the vision tower, (b, 3, PICTURE, PICTURE) float."""
    small = pictures.float() / 255
    if small.shape[-1] > PICTURE:
        small = torch.nn.functional.avg_pool2d(small, small.shape[-1] // PICTURE)
    mean, deviation = (torch.tensor(rgb, device=small.device).reshape(1, 3, 1, 1) for rgb in (MEAN, DEVIATION))
    return (small - mean) / deviation
