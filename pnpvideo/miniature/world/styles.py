"""A style is a function of the G-buffer: the same geometry as a cartoon, a photo or a pencil sketch."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.miniature.world.geometry import FIRST_THING, GROUND, SKY, GBuffer, look, shadow, unit
from pnpvideo.miniature.world.scene import COLOURS, Instant
from pnpvideo.miniature.world.texture import noise

_FLAT_GROUND = {
    "grass": (0.45, 0.76, 0.32),
    "sand": (0.93, 0.80, 0.52),
    "snow": (0.90, 0.94, 0.98),
    "stone": (0.62, 0.62, 0.65),
}
_FLAT_SKY = {"day": (0.53, 0.80, 0.97), "sunset": (0.98, 0.62, 0.36), "overcast": (0.76, 0.79, 0.82)}


class Light(NamedTuple):
    """Linear light of the photo style: the sky at zenith and horizon, the sun, the ambient, the sun's half angle."""

    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    sun: tuple[float, float, float]
    ambient: tuple[float, float, float]
    spread: float


_LIGHT = {
    "day": Light((0.10, 0.28, 0.70), (0.52, 0.68, 0.86), (1.75, 1.62, 1.40), (0.34, 0.40, 0.50), 0.05),
    "sunset": Light((0.16, 0.17, 0.38), (0.95, 0.45, 0.16), (1.75, 0.95, 0.42), (0.32, 0.24, 0.28), 0.06),
    "overcast": Light((0.42, 0.46, 0.51), (0.62, 0.64, 0.67), (0.42, 0.42, 0.42), (0.58, 0.60, 0.64), 0.30),
}
_MATTER = {
    "grass": (0.10, 0.22, 0.04),
    "sand": (0.56, 0.42, 0.22),
    "snow": (0.78, 0.83, 0.90),
    "stone": (0.26, 0.26, 0.27),
}


def render(
    instants: list[Instant], styles: list[str], size: int, *, supersample: int = 2, device: str = "cpu"
) -> dict[str, Tensor]:
    """Pictures of ``instants`` in each of ``styles``: name -> (b, 3, size, size) in [0, 1]."""
    view = look(instants, size * supersample, device)
    return {style: paint(view, style, supersample) for style in styles}


def paint(view: GBuffer, style: str, supersample: int = 2) -> Tensor:
    """One picture of a G-buffer: (b, 3, size / supersample, size / supersample) in [0, 1]."""
    picture = STYLES[style](view).unflatten(2, (view.size, view.size))
    return F.avg_pool2d(picture, supersample).clamp(0, 1)


def cartoon(view: GBuffer) -> Tensor:
    """Flat colours, two-tone cel shading, black outlines. (b, 3, n)."""
    lit = (view.normal * _sun(view)).sum(1) > 0.12
    shaded = (_hidden(view, [_sun(view)]) > 0) & (view.ids == GROUND)
    tone = torch.where(lit & ~shaded, 1.0, 0.62).unsqueeze(1)
    base = _albedo(view, {ground: rgb for ground, rgb in _FLAT_GROUND.items()})
    up = view.directions[:, 2:3]
    band = torch.where(up > 0.16, 1.0, 0.0)
    sky = _by(view, lambda i: _FLAT_SKY[i.sky]) * (1 - 0.14 * band)
    cloud = (noise(_sky_map(view), view, 3) > 0.60).unsqueeze(1) & (up > 0.03)
    sky = torch.where(cloud, 0.5 * sky + 0.5, sky)
    picture = torch.where(_is(view, SKY), sky, base * tone)
    return torch.where(_outline(view, 2), torch.full_like(picture, 0.05), picture)


def photo(view: GBuffer) -> Tensor:
    """Sun with soft shadow, sky light, specular glint, textured matter, clouds, haze, a little grain. (b, 3, n)."""
    sun, normal = _sun(view), view.normal
    zenith = _by(view, lambda i: _LIGHT[i.sky].zenith)
    horizon = _by(view, lambda i: _LIGHT[i.sky].horizon)
    sunlight = _by(view, lambda i: _LIGHT[i.sky].sun)
    ambient = _by(view, lambda i: _LIGHT[i.sky].ambient)
    up = view.directions[:, 2:3]

    # the sky: a gradient, clouds lit by the sun, a glow around it
    height = up.clamp(0, 1) ** 0.55
    sky = horizon + (zenith - horizon) * height
    clouds = ((noise(_sky_map(view), view, 0) - 0.46) * 4).clamp(0, 1).unsqueeze(1) * (up * 6).clamp(0, 1)
    sky = sky + (0.75 * (horizon * 0.5 + sunlight * 0.45) - sky * 0.6) * clouds * _by(
        view, lambda i: (0.55 if i.sky != "overcast" else 0.3,)
    )
    glow = (view.directions * sun).sum(1, keepdim=True).clamp(0, 1)
    sky = sky + sunlight * (0.22 * glow**8 + 0.7 * glow**180)

    # matter: ground and things, textured
    ground, relief = _ground_matter(view)
    things = _thing_albedo(view)
    grain = noise(view.local[:, :2] * 0.35 + view.local[:, 2:3] * 0.21, view, 1).unsqueeze(1)
    things = things**1.9 * (0.86 + 0.28 * grain)
    is_ground = _is(view, GROUND)
    albedo = torch.where(is_ground, ground, things)

    # light: sun through a soft shadow, sky light from above, contact shade, a glint
    light = (normal * sun).sum(1, keepdim=True).clamp(0, 1)
    visible = _soft_sun(view)
    sky_light = ambient * (0.62 + 0.38 * normal[:, 2:3])
    sky_light = sky_light * torch.where(
        is_ground, _contact(view), (0.55 + 0.45 * (view.position[:, 2:3] * 1.2)).clamp(0, 1)
    )
    bounce = ground * sunlight * 0.10 * (1 - normal[:, 2:3]).clamp(0, 1)
    half = unit(sun - view.directions)
    glint = (normal * half).sum(1, keepdim=True).clamp(0, 1) ** 48 * torch.where(is_ground, 0.03, 0.55)
    fresnel = (1 + (normal * view.directions).sum(1, keepdim=True)).clamp(0, 1) ** 4 * torch.where(is_ground, 0.0, 0.35)
    colour = (
        albedo * (sunlight * light * visible * relief + sky_light + bounce)
        + sunlight * glint * visible
        + horizon * fresnel * 0.5
    )
    haze = 1 - torch.exp(-view.depth.unsqueeze(1).clamp(max=400) / 55)
    colour = colour + (horizon - colour) * haze
    colour = torch.where(_is(view, SKY), sky, colour)
    return (colour / (1 + 0.25 * colour)).clamp(min=1e-5) ** (1 / 2.2)


def sketch(view: GBuffer) -> Tensor:
    """Pencil on paper: outlines, and hatching that grows denser where it is darker. (b, 3, n)."""
    axis = torch.arange(view.size, device=view.ids.device) * (256 / view.size)
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    u, v = u.reshape(1, -1), v.reshape(1, -1)
    things = (_thing_albedo(view) * torch.tensor([0.3, 0.59, 0.11], device=u.device).reshape(1, 3, 1)).sum(1)
    light = (view.normal * _sun(view)).sum(1).clamp(0, 1)
    shaded = (_hidden(view, [_sun(view)]) > 0) & (view.ids == GROUND)
    ground_tone = _by(view, lambda i: ({"grass": 0.80, "sand": 0.90, "snow": 1.0, "stone": 0.72}[i.ground],))[:, 0]
    sky_tone = _by(view, lambda i: ({"day": 1.0, "sunset": 0.86, "overcast": 0.74}[i.sky],))[:, 0]
    tone = torch.where(view.ids == SKY, sky_tone.expand_as(things), things * (0.45 + 0.55 * light))
    tone = torch.where(view.ids == GROUND, torch.where(shaded, 0.45 * ground_tone, ground_tone), tone)
    slant = torch.where(
        view.ids == GROUND, v * 1.0, torch.where(view.ids == SKY, v * 0.94 + u * 0.34, u * 0.7 + v * 0.7)
    )
    stroke = 0.5 + 0.5 * torch.sin(slant * (2 * math.pi / 8.0))
    cross = 0.5 + 0.5 * torch.sin((u - v) * (0.7 * 2 * math.pi / 8.0))
    ink = ((1 - tone) * 1.15 - stroke + 0.05).clamp(0, 0.35) * 1.5
    ink = ink + ((0.55 - tone) * 1.4 - cross).clamp(0, 0.35)
    line = _outline(view, 1)[:, 0].float() * 0.75
    paper = 0.97 - torch.maximum(ink.clamp(0, 0.7), line)
    return paper.unsqueeze(1) * torch.tensor([1.0, 0.99, 0.96], device=u.device).reshape(1, 3, 1)


STYLES: dict[str, Callable[[GBuffer], Tensor]] = {"cartoon": cartoon, "photo": photo, "sketch": sketch}


def _is(view: GBuffer, which: int) -> Tensor:
    return (view.ids == which).unsqueeze(1)


def _by(view: GBuffer, value: Callable[[Instant], tuple[float, ...]]) -> Tensor:
    """A value of each instant, (b, c, 1)."""
    return torch.tensor([value(instant) for instant in view.instants], device=view.ids.device).unsqueeze(2)


def _sun(view: GBuffer) -> Tensor:
    """Direction to the sun, (b, 3, 1)."""

    def toward(instant: Instant) -> tuple[float, ...]:
        elevation = 0.42 * instant.sun_elevation if instant.sky == "sunset" else instant.sun_elevation
        flat = math.cos(elevation)
        return flat * math.cos(instant.sun_azimuth), flat * math.sin(instant.sun_azimuth), math.sin(elevation)

    return _by(view, toward)


def _thing_albedo(view: GBuffer) -> Tensor:
    most = max(len(instant.things) for instant in view.instants)
    table = _by(
        view, lambda i: sum((COLOURS[thing.colour] for thing in i.things), ()) + (0.0,) * (3 * (most - len(i.things)))
    ).reshape(len(view.instants), most, 3)
    slot = (view.ids - FIRST_THING).clamp(min=0)
    return table.gather(1, slot.unsqueeze(2).expand(-1, -1, 3)).mT


def _albedo(view: GBuffer, grounds: dict[str, tuple[float, float, float]]) -> Tensor:
    return torch.where(_is(view, GROUND), _by(view, lambda i: grounds[i.ground]), _thing_albedo(view))


def _sky_map(view: GBuffer) -> Tensor:
    """Coordinates on a flat layer of clouds, (b, 2, n)."""
    return view.directions[:, :2] / (view.directions[:, 2:3].clamp(min=0) + 0.18) * 0.16


def _ground_matter(view: GBuffer) -> tuple[Tensor, Tensor]:
    """Linear albedo (b, 3, n) and relief (b, 1, n) of the textured ground."""
    place = view.position[:, :2].clamp(-200, 200)
    near = torch.exp(-view.depth.clamp(max=400) / 14).unsqueeze(1)
    fine = noise(place * 0.55, view, 1).unsqueeze(1) - 0.5
    broad = noise(place * 0.09, view, 2).unsqueeze(1) - 0.5
    base = _by(view, lambda i: _MATTER[i.ground])
    rough = _by(view, lambda i: ({"grass": 1.3, "sand": 0.35, "snow": 0.16, "stone": 0.5}[i.ground],))
    patch = _by(view, lambda i: ({"grass": 0.9, "sand": 0.35, "snow": 0.12, "stone": 0.4}[i.ground],))
    colour = base * (1 + rough * fine * near + patch * broad)
    joints = ((place * 1.1).remainder(1.0) - 0.5).abs().amax(1, keepdim=True) > 0.455
    colour = torch.where(
        joints & _by(view, lambda i: (float(i.ground == "stone"),)).bool(), colour * (1 - 0.55 * near), colour
    )
    ripple = torch.sin(place[:, :1] * 6 + 9 * broad) * _by(view, lambda i: (0.16 if i.ground == "sand" else 0.0,))
    return colour.clamp(min=0.004), torch.where(_is(view, GROUND), 1 + ripple * near, torch.ones_like(near))


def _soft_sun(view: GBuffer, rays: int = 4) -> Tensor:
    """Share of the sun's disc that each point sees, (b, 1, n): ``rays`` fixed points of the disc."""
    sun = _sun(view)
    up = torch.tensor([0.0, 0.0, 1.0], device=sun.device).reshape(1, 3, 1).expand_as(sun)
    across = unit(torch.linalg.cross(sun, up, dim=1))
    along = torch.linalg.cross(sun, across, dim=1)
    spread = _by(view, lambda i: (_LIGHT[i.sky].spread,))
    lights = [sun]
    for ray in range(rays):
        angle = 2 * math.pi * (ray + 0.35) / rays
        offset = spread * (math.cos(angle) * across + math.sin(angle) * along)
        lights.append(unit(sun + offset))
    return 1 - _hidden(view, lights, float(spread.max())).unsqueeze(1)


def _hidden(view: GBuffer, lights: list[Tensor], spread: float = 0.0) -> Tensor:
    return shadow(view.position + 0.01 * view.normal, lights, view.instants, spread)


def _contact(view: GBuffer) -> Tensor:
    """Shade on the ground where a thing stands close, (b, 1, n)."""
    shade = torch.ones_like(view.depth).unsqueeze(1)
    for slot in range(max(len(instant.things) for instant in view.instants)):
        there = [instant.things[slot] if slot < len(instant.things) else None for instant in view.instants]
        disc = torch.tensor(
            [(t.x, t.y, t.size, t.lift) if t else (1e4, 1e4, 1.0, 0.0) for t in there], device=view.ids.device
        ).unsqueeze(2)
        away = (view.position[:, :2] - disc[:, :2]).square().sum(1, keepdim=True).sqrt() / disc[:, 2:3]
        shade = shade * (1 - 0.6 * torch.exp(-disc[:, 3:4] * 2) * torch.exp(-(((away - 0.5).clamp(min=0) / 0.55) ** 2)))
    return shade


def _outline(view: GBuffer, thickness: int) -> Tensor:
    """Where the id changes or a surface folds sharply, (b, 1, n) bool; thickness in pixels of the G-buffer."""
    ids = view.ids.unflatten(1, (view.size, view.size)).float().unsqueeze(1)
    reach = max(1, round(thickness * view.size / 512))
    folds = view.normal.unflatten(2, (view.size, view.size)) * (ids >= FIRST_THING)
    maps = torch.cat((ids, folds), 1)
    steps = torch.zeros_like(maps)
    steps[:, :, :, 1:] = (maps[:, :, :, 1:] - maps[:, :, :, :-1]).abs()
    steps[:, :, 1:] = torch.maximum(steps[:, :, 1:], (maps[:, :, 1:] - maps[:, :, :-1]).abs())
    edge = ((steps[:, :1] > 0.5) | (steps[:, 1:].amax(1, keepdim=True) > 0.35)).float()
    wide = F.max_pool2d(edge, (1, 2 * reach), 1, (0, reach))[..., : view.size]
    wide = F.max_pool2d(wide, (2 * reach, 1), 1, (reach, 0))[:, :, : view.size]
    return (wide > 0.5).flatten(2)
