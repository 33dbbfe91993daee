"""A style is a function of the G-buffer: one geometry as a cartoon, a photo, a sketch, clay, watercolor or at night.

Each takes a G-buffer of ``b`` instants and returns their picture, (b, 3, n), sRGB about [0, 1], n rays row by row.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.miniature.world.geometry import GBuffer, look
from pnpvideo.miniature.world.scene import Instant
from pnpvideo.miniature.world.styles.cartoon import cartoon
from pnpvideo.miniature.world.styles.clay import clay
from pnpvideo.miniature.world.styles.photo import night, photo
from pnpvideo.miniature.world.styles.sketch import sketch
from pnpvideo.miniature.world.styles.watercolor import watercolor

STYLES: dict[str, Callable[[GBuffer], Tensor]] = {
    "cartoon": cartoon,
    "photo": photo,
    "sketch": sketch,
    "clay": clay,
    "watercolor": watercolor,
    "night": night,
}


def render(
    instants: list[Instant], styles: list[str], size: int, *, supersample: int = 2, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Pictures of ``instants`` in each of ``styles``: name -> (b, 3, size, size) in [0, 1]."""
    view = look(instants, size * supersample, device)
    return {style: paint(view, style, supersample) for style in styles}


def paint(view: GBuffer, style: str, supersample: int = 2) -> Tensor:
    """One picture of a G-buffer: (b, 3, size / supersample, size / supersample) in [0, 1]."""
    picture = STYLES[style](view).unflatten(2, (view.size, view.size))
    return F.avg_pool2d(picture, supersample).clamp(0, 1)
