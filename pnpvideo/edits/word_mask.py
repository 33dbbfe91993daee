"""Where a word is in a picture: a soft mask from cross-attention maps (the idea of arXiv 2208.01626, section 4)."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LOW, HIGH = 0.35, 0.65
"""Shares of the strongest attention between which the mask rises from 0 to 1."""
COARSENESS = (2, 4)
"""Maps of these many cells of the latent a side count: finer ones see edges, coarser ones nothing but the middle."""


def word_mask(maps: Iterable[Tensor], tokens: Sequence[int], height: int, width: int, grow: int = 1) -> Tensor:
    """Mask (f, 1, height, width) in [0, 1], of the latent's size, of what the ``tokens`` look at.

    maps: cross-attention weights (f, heads, pixels, tokens) of any layers and steps. ``grow``: cells by which the mask
    is widened, so that what the word becomes finds room. Raises ValueError where no map is of a size that counts.
    """
    found = []
    for weights in maps:
        size = map_size(weights.shape[2], height, width)
        if size is None:
            continue
        seen = weights[..., list(tokens)].sum(-1).mean(1).unflatten(1, size).unsqueeze(1)
        found.append(F.interpolate(seen, (height, width), mode="bilinear", align_corners=False))
    if not found:
        raise ValueError("no cross-attention map is of a size that a mask is made of")
    mean = torch.stack(found).mean(0)
    low, high = mean.amin((2, 3), keepdim=True), mean.amax((2, 3), keepdim=True)
    share = (mean - low) / (high - low).clamp_min(1e-12)
    wide = F.max_pool2d(((share - LOW) / (HIGH - LOW)).clamp(0, 1), 2 * grow + 1, 1, grow)
    return F.avg_pool2d(F.pad(wide, (1, 1, 1, 1), mode="replicate"), 3, 1)


def map_size(pixels: int, height: int, width: int) -> tuple[int, int] | None:
    """(h, w) of a map of so many pixels over a latent of that size, if it is of a coarseness that counts."""
    for step in COARSENESS:
        size = -(-height // step), -(-width // step)
        if size[0] * size[1] == pixels:
            return size
    return None
