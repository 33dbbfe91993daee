"""Locate a word in a picture: a soft mask from cross-attention maps (after arXiv 2208.01626, section 4)."""

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LOW, HIGH = 0.4, 0.6
"""The mask rises from 0 to 1 between these shares of the range from the least to the most attention."""
SHARPEST = 16
"""Cells on the short side of the maps that separate words best; finer maps show edges, coarser ones little."""
COARSENESS = (1, 2, 4, 8)
"""Latent cells per map cell, along one side."""
GROWTH = 0.4
"""Share of its radius by which a mask is widened, because the new object may extend beyond the old one's outline."""


def word_mask(maps: Iterable[Tensor], tokens: Sequence[int], height: int, width: int) -> Tensor:
    """Mask (f, 1, height, width) in [0, 1], at the latent's size, of where the network attends to ``tokens``.

    maps: cross-attention weights (f, heads, pixels, tokens) of any layers and steps; those of the size nearest to
    SHARPEST are used. tokens: positions in the prompt. The mask is widened by a margin. Raises ValueError if no map
    fits a latent of this size.
    """
    by_size: dict[tuple[int, int], list[Tensor]] = {}
    for weights in maps:
        if (size := map_size(weights.shape[2], height, width)) is not None:
            by_size.setdefault(size, []).append(weights[..., list(tokens)].sum(-1).mean(1).unflatten(1, size))
    if not by_size:
        raise ValueError("no cross-attention map has a size that fits the latent")
    chosen = min(by_size, key=lambda size: abs(math.log2(min(size) / SHARPEST)))
    mean = torch.stack(by_size[chosen]).mean(0).unsqueeze(1)
    mean = F.avg_pool2d(mean, 3, 1, 1, count_include_pad=False)  # remove noise of single cells
    mean = F.interpolate(mean, (height, width), mode="bilinear", align_corners=False)
    low, high = mean.amin((2, 3), keepdim=True), mean.amax((2, 3), keepdim=True)
    share = (mean - low) / (high - low).clamp_min(1e-12)
    mask = ((share - LOW) / (HIGH - LOW)).clamp(0, 1)
    wide = torch.cat([grown(one.unsqueeze(0)) for one in mask])
    return F.avg_pool2d(F.pad(wide, (1, 1, 1, 1), mode="replicate"), 3, 1)


def grown(mask: Tensor) -> Tensor:
    """Widen a mask (1, 1, h, w) by GROWTH times the radius of a disc of the same area, by at least one cell."""
    radius = math.sqrt(float(mask.sum()) / math.pi)
    cells = max(1, round(GROWTH * radius))
    return F.max_pool2d(mask, 2 * cells + 1, 1, cells)


def map_size(pixels: int, height: int, width: int) -> tuple[int, int] | None:
    """(h, w) of an attention map of ``pixels`` cells over a latent of this size; None if the latent has no such map."""
    for step in COARSENESS:
        size = -(-height // step), -(-width // step)
        if size[0] * size[1] == pixels:
            return size
    return None
