"""The sketch style: dark pencil outlines, and coloured hatching that is denser where it is darker."""

import math

import torch
from torch import Tensor

from pnpvideo.miniature.world.geometry import FIRST_THING, GROUND, SKY, GBuffer
from pnpvideo.miniature.world.light import (
    cloud_coordinates,
    hard_shadow,
    id_mask,
    outline,
    pixel_coordinates,
    plain_albedo,
    sun_direction,
    values,
)
from pnpvideo.miniature.world.styles.cartoon import FLAT_GROUND, FLAT_SKY
from pnpvideo.miniature.world.texture import noise

_PAPER = (0.97, 0.96, 0.93)
_GRAPHITE = (0.20, 0.20, 0.22)
_SPACING = 16  # pixels of 256, along rows and columns: strokes repeat with the autoencoder's cells


def sketch(view: GBuffer) -> Tensor:
    """Shade as a pencil sketch: sRGB (b, 3, n)."""
    u, v = (axis * (2 * math.pi / _SPACING) for axis in pixel_coordinates(view))
    light = (view.normal * sun_direction(view)).sum(1).clamp(0, 1)
    dark = 0.30 + 0.60 * (1 - light)
    ground_dark = values(view, lambda i: ({"grass": 0.34, "sand": 0.26, "snow": 0.08, "stone": 0.34}[i.ground],))[:, 0]
    dark = torch.where(view.ids == GROUND, torch.where(hard_shadow(view), 0.75, ground_dark), dark)
    cloud = (noise(cloud_coordinates(view), view, 3) > 0.60) & (view.directions[:, 2] > 0.03)
    sky_dark = values(view, lambda i: ({"day": 0.28, "sunset": 0.36, "overcast": 0.30}[i.sky],))[:, 0]
    dark = torch.where(view.ids == SKY, torch.where(cloud, 0.04, sky_dark), dark)

    slant = torch.where(view.ids == GROUND, v - u, torch.where(view.ids == SKY, 2 * v, u + v))
    stroke, cross = 0.5 + 0.5 * torch.sin(slant), 0.5 + 0.5 * torch.sin(u - v)
    line = ((dark * 1.25 - stroke) * 2.5).clamp(0, 1)
    is_thing = view.ids >= FIRST_THING
    cover = torch.where(is_thing, 0.55 * dark + 0.45 * line, 0.5 * dark + 0.35 * line)
    cover = torch.maximum(cover, ((dark * 1.3 - 0.55 - cross) * 2.5).clamp(0, 1)).clamp(0, 0.9).unsqueeze(1)

    pencil = torch.where(id_mask(view, SKY), values(view, lambda i: FLAT_SKY[i.sky]), plain_albedo(view, FLAT_GROUND))
    pencil = 0.85 * pencil * torch.where(id_mask(view, GROUND) | id_mask(view, SKY), 0.85, 1.0) + 0.04
    paper, graphite = (torch.tensor(rgb, device=u.device).reshape(1, 3, 1) for rgb in (_PAPER, _GRAPHITE))
    picture = paper * (1 - cover) + torch.minimum(pencil, paper) * cover
    return torch.where(outline(view, 1), 0.25 * picture + 0.75 * graphite, picture)
