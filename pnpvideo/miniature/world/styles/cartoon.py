"""The cartoon style: flat colours, two-tone cel shading, dark outlines."""

import torch
from torch import Tensor

from pnpvideo.miniature.world.geometry import SKY, GBuffer
from pnpvideo.miniature.world.light import (
    cloud_coordinates,
    hard_shadow,
    id_mask,
    material_mask,
    outline,
    plain_albedo,
    sun_direction,
    values,
)
from pnpvideo.miniature.world.shapes import METAL, WOOD
from pnpvideo.miniature.world.texture import noise

FLAT_GROUND = {
    "grass": (0.45, 0.76, 0.32),
    "sand": (0.93, 0.80, 0.52),
    "snow": (0.90, 0.94, 0.98),
    "stone": (0.62, 0.62, 0.65),
}
FLAT_SKY = {"day": (0.53, 0.80, 0.97), "sunset": (0.98, 0.62, 0.36), "overcast": (0.76, 0.79, 0.82)}
_INK = (0.10, 0.08, 0.10)


def cartoon(view: GBuffer) -> Tensor:
    """Shade as a flat cartoon: sRGB (b, 3, n)."""
    sun = sun_direction(view)
    slope = (view.normal * sun).sum(1)
    tone = torch.where((slope > 0.12) & ~hard_shadow(view), 1.0, 0.62).unsqueeze(1)
    base = plain_albedo(view, FLAT_GROUND)
    mirrored = 2 * (view.normal * view.directions).sum(1, keepdim=True) * view.normal
    gleam = ((view.directions - mirrored) * sun).sum(1, keepdim=True) > 0.8
    base = torch.where(material_mask(view, METAL) & gleam, 0.35 * base + 0.65, base)
    stripes = ((view.local[:, 2:3] * 2.2).remainder(1.0) < 0.28) & material_mask(view, WOOD)
    base = torch.where(stripes, base * 0.78, base)
    up = view.directions[:, 2:3]
    sky = values(view, lambda i: FLAT_SKY[i.sky]) * torch.where(up > 0.16, 0.86, 1.0)
    cloud = (noise(cloud_coordinates(view), view, 3) > 0.60).unsqueeze(1) & (up > 0.03)
    sky = torch.where(cloud, 0.5 * sky + 0.5, sky)
    picture = torch.where(id_mask(view, SKY), sky, base * tone)
    ink = torch.tensor(_INK, device=picture.device).reshape(1, 3, 1)
    return torch.where(outline(view, 2), ink, picture)
