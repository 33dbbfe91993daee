"""What judge and captioner see of a picture: its size, its patches, and a view of it that is new at each step."""

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

PICTURE, PATCH = 128, 16
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's own preprocessing."""


@dataclass(frozen=True)
class View:
    """How a picture is shown to sight this time, so that no step sees it twice: mirrored, moved, lit.

    ``right`` and ``down`` are -1, 0 or 1, in half patches; what is uncovered repeats the edge. ``light`` multiplies.
    """

    mirrored: bool = False
    right: int = 0
    down: int = 0
    light: float = 1.0

    @classmethod
    def drawn(cls, rng: Random) -> "View":
        return cls(rng.random() < 0.5, rng.randint(-1, 1), rng.randint(-1, 1), rng.uniform(0.85, 1.1))

    def of(self, picture: Tensor, step: int) -> Tensor:
        """(c, h, w) as this view shows it, moved by multiples of ``step`` cells."""
        picture = picture.flip(2) if self.mirrored else picture
        rows, columns = (torch.arange(n, device=picture.device) for n in picture.shape[1:])
        rows = (rows - step * self.down).clamp(0, len(rows) - 1)
        return picture[:, rows][:, :, (columns - step * self.right).clamp(0, len(columns) - 1)]

    def seen(self, picture: Tensor) -> Tensor:
        """(3, PICTURE, PICTURE) uint8 in this view, the same."""
        return (self.of(picture, PATCH // 2).float() * self.light).clamp(0, 255).to(torch.uint8)


def seen_by_judge(pictures: Tensor) -> Tensor:
    """(b, 3, h, w) uint8, h and w multiples of PICTURE, as the vision tower takes them, (b, 3, 128, 128) float."""
    small = pictures.float() / 255
    if small.shape[-1] > PICTURE:
        small = torch.nn.functional.avg_pool2d(small, small.shape[-1] // PICTURE)
    mean, deviation = (torch.tensor(rgb, device=small.device).reshape(1, 3, 1, 1) for rgb in (MEAN, DEVIATION))
    return (small - mean) / deviation
