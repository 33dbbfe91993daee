"""The photo and night styles: sun or moon with soft shadows, sky light, highlights, textures, clouds and haze."""

from typing import NamedTuple

import torch
from torch import Tensor

from pnpvideo.miniature.world.geometry import GROUND, SKY, GBuffer, unit
from pnpvideo.miniature.world.light import (
    cloud_coordinates,
    contact_shadow,
    id_mask,
    material_mask,
    sun_direction,
    sun_visibility,
    values,
)
from pnpvideo.miniature.world.shapes import GLASS, METAL, WOOD
from pnpvideo.miniature.world.texture import noise

Triple = tuple[float, float, float]


class Light(NamedTuple):
    """Linear RGB light of one sky. spread: half the angle of the sun's disc in radians. window: emitted by windows."""

    zenith: Triple
    horizon: Triple
    sun: Triple
    ambient: Triple
    spread: float
    window: Triple = (0.0, 0.0, 0.0)


_DAY = {
    "day": Light((0.10, 0.28, 0.70), (0.42, 0.60, 0.88), (1.85, 1.70, 1.45), (0.32, 0.38, 0.48), 0.05),
    "sunset": Light((0.17, 0.18, 0.42), (1.05, 0.50, 0.18), (2.10, 1.15, 0.50), (0.30, 0.25, 0.32), 0.06),
    "overcast": Light((0.42, 0.46, 0.51), (0.62, 0.64, 0.67), (0.42, 0.42, 0.42), (0.56, 0.58, 0.62), 0.30),
}
_LAMP = (1.10, 0.72, 0.28)
_NIGHT = {
    "day": Light((0.006, 0.012, 0.045), (0.030, 0.050, 0.120), (0.34, 0.42, 0.58), (0.070, 0.090, 0.165), 0.05, _LAMP),
    "sunset": Light(
        (0.010, 0.010, 0.045), (0.080, 0.050, 0.110), (0.38, 0.38, 0.50), (0.075, 0.080, 0.150), 0.06, _LAMP
    ),
    "overcast": Light(
        (0.016, 0.020, 0.040), (0.046, 0.055, 0.085), (0.16, 0.19, 0.25), (0.10, 0.12, 0.18), 0.20, _LAMP
    ),
}
_MATTER = {
    "grass": (0.10, 0.22, 0.04),
    "sand": (0.56, 0.42, 0.22),
    "snow": (0.78, 0.83, 0.90),
    "stone": (0.26, 0.26, 0.27),
}
_ROUGH = {"grass": 1.5, "sand": 0.45, "snow": 0.20, "stone": 0.6}
_PATCHY = {"grass": 1.0, "sand": 0.40, "snow": 0.14, "stone": 0.5}


def photo(view: GBuffer) -> Tensor:
    """Shade as a photo in daylight, at sunset or under clouds: sRGB (b, 3, n)."""
    return _tone(_lit(view, _DAY, _sky(view, _DAY)))


def night(view: GBuffer) -> Tensor:
    """Shade as a photo at night: sRGB (b, 3, n)."""
    bright = noise(cloud_coordinates(view) * 7, view, 1)
    stars = ((bright - 0.86) * 12).clamp(0, 1).unsqueeze(1) * (view.directions[:, 2:3] * 5).clamp(0, 1)
    clear = values(view, lambda i: (0.0 if i.sky == "overcast" else 1.0,))
    return _tone(_lit(view, _NIGHT, _sky(view, _NIGHT) + 0.5 * stars * clear))


def _tone(colour: Tensor) -> Tensor:
    """Tone-map linear light to sRGB, with soft highlights."""
    return (colour / (1 + 0.25 * colour)).clamp(min=1e-5) ** (1 / 2.2)


def _sky(view: GBuffer, light: dict[str, Light]) -> Tensor:
    """Linear light of the sky, (b, 3, n): a gradient, clouds lit by the sun, a glow around the sun."""
    zenith, horizon = (
        values(view, lambda i: light[i.sky].zenith),
        values(view, lambda i: light[i.sky].horizon),
    )
    sunlight = values(view, lambda i: light[i.sky].sun)
    up = view.directions[:, 2:3]
    sky = horizon + (zenith - horizon) * up.clamp(0, 1) ** 0.55
    clouds = ((noise(cloud_coordinates(view), view, 0) - 0.46) * 4).clamp(0, 1).unsqueeze(1) * (up * 6).clamp(0, 1)
    cover = values(view, lambda i: (0.55 if i.sky != "overcast" else 0.3,))
    sky = sky + (0.75 * (horizon * 0.5 + sunlight * 0.45) - sky * 0.6) * clouds * cover
    glow = (view.directions * sun_direction(view)).sum(1, keepdim=True).clamp(0, 1)
    return sky + sunlight * (0.22 * glow**8 + 0.7 * glow**180)


def _lit(view: GBuffer, lights: dict[str, Light], sky: Tensor) -> Tensor:
    """Linear light of each ray, (b, 3, n). sky: light of the rays that hit nothing."""
    sun, normal = sun_direction(view), view.normal
    horizon, sunlight = (
        values(view, lambda i: lights[i.sky].horizon),
        values(view, lambda i: lights[i.sky].sun),
    )
    zenith, ambient = (
        values(view, lambda i: lights[i.sky].zenith),
        values(view, lambda i: lights[i.sky].ambient),
    )
    ground, relief = _ground(view)
    is_ground, is_metal = id_mask(view, GROUND), material_mask(view, METAL)
    albedo = torch.where(is_ground, ground, _things(view))

    direct = (normal * sun).sum(1, keepdim=True).clamp(0, 1)
    visible = sun_visibility(view, values(view, lambda i: (lights[i.sky].spread,)))
    sky_light = ambient * (0.62 + 0.38 * normal[:, 2:3])
    near_ground = (0.55 + 0.45 * (view.position[:, 2:3] * 1.2)).clamp(0, 1)
    sky_light = sky_light * torch.where(is_ground, contact_shadow(view), near_ground)
    bounce = ground * sunlight * 0.10 * (1 - normal[:, 2:3]).clamp(0, 1)
    matte = albedo * (sunlight * direct * visible * relief + sky_light + bounce)

    # Highlights of the sun on all things, reflections of sky and ground in metal and glass.
    half = unit(sun - view.directions)
    glint = (normal * half).sum(1, keepdim=True).clamp(0, 1) ** 48 * torch.where(is_ground, 0.03, 0.55)
    facing = (normal * view.directions).sum(1, keepdim=True)
    mirrored = (view.directions - 2 * facing * normal)[:, 2:3]
    above = horizon + (zenith - horizon) * mirrored.clamp(0, 1) ** 0.55
    below = ground.mean(2, keepdim=True) * (ambient + 0.5 * sunlight)
    reflected = torch.where(mirrored > 0, above, below)
    polish = torch.where(is_metal, 0.65, torch.where(material_mask(view, GLASS), 0.45, 0.0))
    tint = torch.where(is_metal, 0.25 + 0.75 * albedo / albedo.amax(1, keepdim=True).clamp(min=0.05), 1.0)
    colour = matte * (1 - polish) + reflected * tint * polish
    colour = colour + sunlight * glint * visible * torch.where(is_metal, 2.0, 1.0)
    rim = (1 + facing).clamp(0, 1) ** 4 * torch.where(is_ground, 0.0, 0.35)
    colour = colour + horizon * rim * 0.5
    colour = colour + values(view, lambda i: lights[i.sky].window) * material_mask(view, GLASS)
    haze = 1 - torch.exp(-view.depth.unsqueeze(1).clamp(max=400) / 95)
    return torch.where(id_mask(view, SKY), sky, colour + (horizon - colour) * haze)


def _things(view: GBuffer) -> Tensor:
    """Linear albedo of things, textured by their material, (b, 3, n)."""
    grain = noise(view.local[:, :2] * 0.35 + view.local[:, 2:3] * 0.21, view, 1).unsqueeze(1)
    bent = view.local[:, 2:3] * 2.2 + 1.6 * noise(view.local[:, [0, 2]] * 0.11, view, 2).unsqueeze(1)
    rings = (bent.remainder(1.0) - 0.5).abs() * 2
    wooden = view.albedo * torch.tensor([0.92, 0.74, 0.55], device=grain.device).reshape(1, 3, 1) * (0.62 + 0.5 * rings)
    albedo = torch.where(material_mask(view, WOOD), wooden, view.albedo)
    return albedo.clamp(min=1e-3) ** 1.9 * (0.86 + 0.28 * grain)


def _ground(view: GBuffer) -> tuple[Tensor, Tensor]:
    """Linear albedo (b, 3, n) and shading factor of the relief (b, 1, n) of the textured ground."""
    place = view.position[:, :2].clamp(-200, 200)
    near = torch.exp(-view.depth.clamp(max=400) / 14).unsqueeze(1)
    fine = noise(place * 0.4, view, 1).unsqueeze(1) - 0.5
    broad = noise(place * 0.09, view, 2).unsqueeze(1) - 0.5
    colour = values(view, lambda i: _MATTER[i.ground]) * (
        1
        + values(view, lambda i: (_ROUGH[i.ground],)) * fine * near
        + values(view, lambda i: (_PATCHY[i.ground],)) * broad
    )
    joints = ((place * 0.9).remainder(1.0) - 0.5).abs().amax(1, keepdim=True) > 0.45
    paved = values(view, lambda i: (float(i.ground == "stone"),)).bool()
    colour = torch.where(joints & paved, colour * (1 - 0.55 * near), colour)
    ripple = torch.sin(place[:, :1] * 5 + 9 * broad) * values(view, lambda i: (0.18 if i.ground == "sand" else 0.0,))
    return colour.clamp(min=0.004), torch.where(id_mask(view, GROUND), 1 + ripple * near, torch.ones_like(near))
