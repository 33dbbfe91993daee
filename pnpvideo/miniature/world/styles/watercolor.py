"""Watercolor: thin washes on rough paper, darker where a wash ends, running a little over their borders."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.miniature.world.geometry import FIRST_THING, SKY, GBuffer
from pnpvideo.miniature.world.light import cast_shadow, each, pixels, plain_albedo, shown, sky_map, to_sun
from pnpvideo.miniature.world.styles.cartoon import FLAT_GROUND
from pnpvideo.miniature.world.texture import noise

_SKY = {"day": (0.60, 0.80, 0.95), "sunset": (0.99, 0.72, 0.52), "overcast": (0.80, 0.81, 0.84)}
_PAPER = (0.98, 0.97, 0.94)


def watercolor(view: GBuffer) -> Tensor:
    light = (view.normal * to_sun(view)).sum(1, keepdim=True).clamp(0, 1)
    shaded = cast_shadow(view).unsqueeze(1)
    strength = torch.where(shaded, 0.95, torch.where((view.ids >= FIRST_THING).unsqueeze(1), 0.92 - 0.34 * light, 0.66))
    pigment = plain_albedo(view, FLAT_GROUND).clamp(0.12, 1.0)
    pigment = torch.where(
        shaded, pigment * torch.tensor([0.60, 0.62, 0.80], device=light.device).view(1, 3, 1), pigment
    )
    up = view.directions[:, 2:3].clamp(0, 1)
    clouds = ((noise(sky_map(view), view, 0) - 0.44) * 5).clamp(0, 1).unsqueeze(1)
    is_sky = shown(view, SKY)
    strength = torch.where(is_sky, (0.55 + 0.9 * up).clamp(max=1.0) * (1 - 0.8 * clouds), strength)
    pigment = torch.where(is_sky, each(view, lambda i: _SKY[i.sky]), pigment)

    column, row = pixels(view)
    sheet = torch.stack((column, row), 1).expand(len(view.instants), 2, -1) / 256
    grain = noise(sheet * 0.9, view, 1).unsqueeze(1) - 0.5
    pool = noise(sheet * 0.35, view, 2).unsqueeze(1) - 0.5
    strength = strength * (1 + 0.30 * pool + 0.14 * grain)
    paper = torch.tensor(_PAPER, device=light.device).reshape(1, 3, 1)
    wash = paper * (1 - strength * (1 - pigment))
    return _wet_edges(_bled(wash, view, sheet), view)


def _bled(wash: Tensor, view: GBuffer, sheet: Tensor) -> Tensor:
    """Each pixel takes the wash of a place a little away: borders waver."""
    shift = torch.stack((noise(sheet * 0.8, view, 3), noise(sheet * 0.8 + 0.37, view, 3)), 1) - 0.5
    grid = ((sheet + shift * (5 / 256)) * 2 - 1).mT.unflatten(1, (view.size, view.size))
    picture = wash.unflatten(2, (view.size, view.size))
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=False).flatten(2)


def _wet_edges(wash: Tensor, view: GBuffer) -> Tensor:
    """Pigment gathers where a wash ends: darker where it differs from its surroundings."""
    reach = max(1, round(view.size / 128))
    picture = wash.unflatten(2, (view.size, view.size))
    around = F.avg_pool2d(F.pad(picture, (reach,) * 4, mode="replicate"), 2 * reach + 1, 1)
    edge = (picture - around).abs().amax(1, keepdim=True)
    return (picture * (1 - 1.1 * edge).clamp(0.6, 1)).flatten(2)
