"""Styles: functions that shade a G-buffer as a cartoon, a photo, a sketch, clay, a watercolor or a night photo.

Each takes a G-buffer of ``b`` instants and returns sRGB colours (b, 3, n), about [0, 1], n rays in row-major order.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.miniature.world.geometry import GBuffer, trace_gbuffer
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
    """Render ``instants`` in each of ``styles``: style -> pictures (b, 3, size, size) in [0, 1].

    supersample: rays along each side of a pixel.
    """
    view = trace_gbuffer(instants, size * supersample, device)
    return {style: paint(view, style, supersample) for style in styles}


def paint(view: GBuffer, style: str, supersample: int = 2) -> Tensor:
    """Shade a G-buffer in one style and average its rays: (b, 3, size / supersample, size / supersample) in [0, 1]."""
    picture = STYLES[style](view).unflatten(2, (view.size, view.size))
    return F.avg_pool2d(picture, supersample).clamp(0, 1)
