"""The watercolor style: thin washes on rough paper with dark rims, bleeding a little over their borders."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.miniature.world.geometry import FIRST_THING, SKY, GBuffer
from pnpvideo.miniature.world.light import (
    cloud_coordinates,
    hard_shadow,
    id_mask,
    pixel_coordinates,
    plain_albedo,
    sun_direction,
    values,
)
from pnpvideo.miniature.world.styles.cartoon import FLAT_GROUND
from pnpvideo.miniature.world.texture import noise

_SKY = {"day": (0.60, 0.80, 0.95), "sunset": (0.99, 0.72, 0.52), "overcast": (0.80, 0.81, 0.84)}
_PAPER = (0.98, 0.97, 0.94)


def watercolor(view: GBuffer) -> Tensor:
    """Shade as a watercolor: sRGB (b, 3, n)."""
    light = (view.normal * sun_direction(view)).sum(1, keepdim=True).clamp(0, 1)
    shaded = hard_shadow(view).unsqueeze(1)
    strength = torch.where(shaded, 0.95, torch.where((view.ids >= FIRST_THING).unsqueeze(1), 0.92 - 0.34 * light, 0.66))
    pigment = plain_albedo(view, FLAT_GROUND).clamp(0.12, 1.0)
    pigment = torch.where(
        shaded, pigment * torch.tensor([0.60, 0.62, 0.80], device=light.device).view(1, 3, 1), pigment
    )
    up = view.directions[:, 2:3].clamp(0, 1)
    clouds = ((noise(cloud_coordinates(view), view, 0) - 0.44) * 5).clamp(0, 1).unsqueeze(1)
    is_sky = id_mask(view, SKY)
    strength = torch.where(is_sky, (0.55 + 0.9 * up).clamp(max=1.0) * (1 - 0.8 * clouds), strength)
    pigment = torch.where(is_sky, values(view, lambda i: _SKY[i.sky]), pigment)

    column, row = pixel_coordinates(view)
    sheet = torch.stack((column, row), 1).expand(len(view.instants), 2, -1) / 256
    grain = noise(sheet * 0.9, view, 1).unsqueeze(1) - 0.5
    pool = noise(sheet * 0.35, view, 2).unsqueeze(1) - 0.5
    strength = strength * (1 + 0.30 * pool + 0.14 * grain)
    paper = torch.tensor(_PAPER, device=light.device).reshape(1, 3, 1)
    wash = paper * (1 - strength * (1 - pigment))
    return _darken_rims(_bleed(wash, view, sheet), view)


def _bleed(wash: Tensor, view: GBuffer, sheet: Tensor) -> Tensor:
    """Displace each pixel by noise, so that borders waver."""
    shift = torch.stack((noise(sheet * 0.8, view, 3), noise(sheet * 0.8 + 0.37, view, 3)), 1) - 0.5
    grid = ((sheet + shift * (5 / 256)) * 2 - 1).mT.unflatten(1, (view.size, view.size))
    picture = wash.unflatten(2, (view.size, view.size))
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=False).flatten(2)


def _darken_rims(wash: Tensor, view: GBuffer) -> Tensor:
    """Darken pixels that differ from their surroundings, as pigment gathers at the rim of a wash."""
    reach = max(1, round(view.size / 128))
    picture: Tensor = wash.unflatten(2, (view.size, view.size))
    around = F.avg_pool2d(F.pad(picture, (reach,) * 4, mode="replicate"), 2 * reach + 1, 1)
    edge = (picture - around).abs().amax(1, keepdim=True)
    return (picture * (1 - 1.1 * edge).clamp(0.6, 1)).flatten(2)
