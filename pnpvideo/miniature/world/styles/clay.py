"""The clay style: lumpy plasticine under a soft studio light, the sky included."""

import torch
from torch import Tensor

from pnpvideo.miniature.world.geometry import FIRST_THING, GROUND, SKY, GBuffer, unit
from pnpvideo.miniature.world.light import (
    cloud_coordinates,
    contact_shadow,
    id_mask,
    plain_albedo,
    sun_direction,
    sun_visibility,
    values,
)
from pnpvideo.miniature.world.texture import noise

_GROUND = {
    "grass": (0.36, 0.62, 0.24),
    "sand": (0.85, 0.68, 0.40),
    "snow": (0.80, 0.81, 0.84),
    "stone": (0.50, 0.50, 0.55),
}
_SKY = {"day": (0.38, 0.66, 0.90), "sunset": (0.93, 0.50, 0.30), "overcast": (0.66, 0.69, 0.74)}


def clay(view: GBuffer) -> Tensor:
    """Shade as plasticine: sRGB (b, 3, n)."""
    is_thing = (view.ids >= FIRST_THING).unsqueeze(1)
    place = torch.where(is_thing, view.local * 0.22, view.position.clamp(-100, 100) * 0.12)
    lumps = torch.stack([noise(place[:, axes], view, 2) - 0.5 for axes in ([0, 1], [1, 2], [2, 0])], 1)
    normal = unit(view.normal + lumps * torch.where(is_thing, 1.5, 0.9))
    sun = unit(sun_direction(view) + torch.tensor([0.0, 0.0, 0.5], device=lumps.device).reshape(1, 3, 1))
    wrapped = ((normal * sun).sum(1, keepdim=True) * 0.6 + 0.4).clamp(0, 1)
    shaded = sun_visibility(view, torch.full_like(sun[:, :1], 0.22))
    base = plain_albedo(view, _GROUND).clamp(0.06, 0.95) ** 1.6
    light = 0.30 * (0.7 + 0.3 * normal[:, 2:3]) * torch.where(id_mask(view, GROUND), contact_shadow(view), 1.0)
    sheen = (normal * unit(sun - view.directions)).sum(1, keepdim=True).clamp(0, 1) ** 14 * 0.14
    colour = base * (light + 0.95 * wrapped * (0.35 + 0.65 * shaded)) + sheen * shaded

    # The sky is a wall of plasticine with flat clouds.
    up = view.directions[:, 2:3]
    relief = noise(cloud_coordinates(view) * 0.8, view, 2).unsqueeze(1) - 0.5
    wall = values(view, lambda i: _SKY[i.sky]) ** 1.6 * (0.95 + 0.5 * relief - 0.12 * up)
    cloud = (noise(cloud_coordinates(view), view, 3) > 0.60).unsqueeze(1) & (up > 0.03)
    wall = torch.where(cloud, 0.4 * wall + 0.55 * (0.9 + 0.4 * relief), wall)
    return torch.where(id_mask(view, SKY), wall, colour).clamp(min=1e-4) ** (1 / 1.8)
