"""What the student is trained on beside the absolute error: features of a tower, and motion that it must follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnpvideo.store import fingerprint


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weight of each term of the generator's loss; 0 leaves a term out.

    perceptual needs a tower. temporal: with 2, the student of 1,000 pairs shimmered more than its teacher. penalty: of
    R1, gamma / 2. absolute is that of few-shot patch training (Texler and others, 2020), in units of [-1, 1].
    """

    absolute: float = 4.0
    perceptual: float = 1.0
    adversarial: float = 0.1
    temporal: float = 8.0
    penalty: float = 0.5


class Tower(Protocol):
    """Features of pictures (n, 3, h, w) in [-1, 1]: a few maps (n, c, h', w'), fine to coarse, with gradients."""

    def __call__(self, pictures: Tensor) -> Sequence[Tensor]: ...


class EncoderTower:
    """The encoder of a checkpoint's autoencoder, whose features stand for what the checkpoint sees.

    encoder: AutoencoderKL.encoder of diffusers; its weights ask for no gradient. depth: how many of its blocks are run.
    """

    def __init__(self, encoder: nn.Module, depth: int = 3) -> None:
        self.encoder, self.depth = encoder, depth

    @property
    def fingerprint(self) -> str:
        """Of the weights that decide the features."""
        blocks = [f"down_blocks.{number}." for number in range(self.depth)]
        used = ("conv_in.", *blocks)
        return fingerprint({name: value for name, value in self.encoder.state_dict().items() if name.startswith(used)})

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        x: Tensor = self.encoder.conv_in(pictures)  # type: ignore[operator]
        found = [x]
        blocks: nn.ModuleList = self.encoder.down_blocks  # type: ignore[assignment]
        for block in blocks[: self.depth]:
            x = block(x)
            found.append(x)
        return found


def perceptual_loss(tower: Tower, result: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the tower's features, each scaled to unit length over its channels (as in LPIPS,
    arXiv 1801.03924, without its learned weights), summed over the maps."""
    with torch.no_grad():
        wanted = tower(target)
    differences = [
        (F.normalize(ours.float(), dim=1) - F.normalize(theirs.float(), dim=1)).square().sum(1).mean()
        for ours, theirs in zip(tower(result), wanted, strict=True)
    ]
    return torch.stack(differences).sum()


def warp(later: Tensor, flow: Tensor) -> Tensor:
    """Warp later frames (n, c, h, w) to the earlier ones. flow: (n, 2, h, w), pixels from earlier to later, x first."""
    height, width = later.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=later.device), torch.arange(width, device=later.device), indexing="ij"
    )
    across = (x + flow[:, 0]) * 2 / max(width - 1, 1) - 1
    down = (y + flow[:, 1]) * 2 / max(height - 1, 1) - 1
    grid = torch.stack([across, down], -1).to(later.dtype)
    return F.grid_sample(later, grid, mode="bilinear", padding_mode="border", align_corners=True)


def temporal_loss(earlier: Tensor, later: Tensor, flow: Tensor, visible: Tensor) -> Tensor:
    """Mean absolute difference of results (n, 3, h, w) along the source's motion, where it is ``visible`` in both.

    flow: see ``warp``. visible: (n, 1, h, w) in [0, 1]. 0 where nothing is visible.
    """
    difference = (earlier - warp(later, flow)).abs() * visible
    return difference.sum() / (visible.sum() * earlier.shape[1]).clamp(min=1)
