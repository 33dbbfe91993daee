"""Seamless smooth noise, generated once from a fixed seed and sampled at any coordinates."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.miniature.world.geometry import GBuffer

_SIDE = 256


def noise(position: Tensor, view: GBuffer, channel: int) -> Tensor:
    """Noise (b, n) in [0, 1], mean 0.5, period 1, at ``position`` (b, 2, n), offset by the seed of each instant.

    channel: 0 to 3, from coarse to fine mixtures of octaves, see ``_texture``.
    """
    texture = _texture(str(position.device))[:, channel : channel + 1]
    offset = torch.tensor(
        [[(i.seed * 0.618034 + 0.37 * channel) % 1.0, (i.seed * 0.414214) % 1.0] for i in view.instants],
        device=position.device,
    ).unsqueeze(2)
    in_tile = (position + offset).remainder(1.0)
    grid = ((in_tile * _SIDE + 0.5) / (_SIDE + 1) * 2 - 1).mT.unsqueeze(1)
    values = F.grid_sample(texture.expand(position.shape[0], -1, -1, -1), grid, align_corners=False)
    return values[:, 0, 0]


@lru_cache(maxsize=2)
def _texture(device: str) -> Tensor:
    """(1, 4, side + 1, side + 1): four channels, each a sum of octaves; the last row and column repeat the first."""
    generator = torch.Generator().manual_seed(20240229)
    channels = []
    for coarsest, octaves in ((5, 5), (8, 6), (6, 4), (7, 3)):
        total = torch.zeros(_SIDE, _SIDE)
        for octave in range(octaves):
            cells = coarsest * 2**octave
            values = torch.rand(1, 1, cells, cells, generator=generator) - 0.5
            padded = F.pad(values, (2, 2, 2, 2), mode="circular")
            scale = _SIDE / cells
            wide = F.interpolate(padded, size=round((cells + 4) * scale), mode="bicubic", align_corners=False)
            edge = round(2 * scale)
            total += wide[0, 0, edge : edge + _SIDE, edge : edge + _SIDE] * 0.55**octave
        total = (total - total.mean()) / total.std()
        channels.append((0.5 + 0.17 * total).clamp(0, 1))
    texture = F.pad(torch.stack(channels).unsqueeze(0), (0, 1, 0, 1), mode="circular")
    return texture.to(device)
