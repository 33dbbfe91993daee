"""What every style reads off a G-buffer: the sun and its shadows, outlines, and values of each instant."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.miniature.world.geometry import FIRST_THING, GROUND, GBuffer, shadow, unit
from pnpvideo.miniature.world.scene import Instant


def shown(view: GBuffer, which: int) -> Tensor:
    """Where id ``which`` is seen, (b, 1, n) bool."""
    return (view.ids == which).unsqueeze(1)


def made_of(view: GBuffer, matter: int) -> Tensor:
    """Where a thing of ``matter`` is seen, (b, 1, n) bool."""
    return (view.matter == matter).unsqueeze(1)


def each(view: GBuffer, value: Callable[[Instant], tuple[float, ...]]) -> Tensor:
    """A value of each instant, (b, c, 1)."""
    return torch.tensor([value(instant) for instant in view.instants], device=view.ids.device).unsqueeze(2)


def plain_albedo(view: GBuffer, grounds: dict[str, tuple[float, float, float]]) -> Tensor:
    """Flat colours of ground and things, (b, 3, n)."""
    return torch.where(shown(view, GROUND), each(view, lambda i: grounds[i.ground]), view.albedo)


def to_sun(view: GBuffer) -> Tensor:
    """Direction to the sun, (b, 3, 1); it stands low at sunset."""

    def toward(instant: Instant) -> tuple[float, ...]:
        elevation = 0.42 * instant.sun_elevation if instant.sky == "sunset" else instant.sun_elevation
        flat = math.cos(elevation)
        return flat * math.cos(instant.sun_azimuth), flat * math.sin(instant.sun_azimuth), math.sin(elevation)

    return each(view, toward)


def hidden(view: GBuffer, lights: list[Tensor], spread: float = 0.0) -> Tensor:
    """Share of ``lights`` that each point does not see, (b, n)."""
    return shadow(view.position + 0.01 * view.normal, lights, view.instants, spread)


def cast_shadow(view: GBuffer) -> Tensor:
    """Where things shade the ground, with a hard edge, (b, n) bool."""
    return (hidden(view, [to_sun(view)]) > 0) & (view.ids == GROUND)


def soft_sun(view: GBuffer, spread: Tensor, rays: int = 4) -> Tensor:
    """Share of the sun's disc that each point sees, (b, 1, n): its middle and ``rays`` fixed points of its rim.

    spread: (b, 1, 1) radians, the disc's half angle.
    """
    sun = to_sun(view)
    up = torch.tensor([0.0, 0.0, 1.0], device=sun.device).reshape(1, 3, 1).expand_as(sun)
    across = unit(torch.linalg.cross(sun, up, dim=1))
    along = torch.linalg.cross(sun, across, dim=1)
    lights = [sun]
    for ray in range(rays):
        angle = 2 * math.pi * (ray + 0.35) / rays
        offset = spread * (math.cos(angle) * across + math.sin(angle) * along)
        lights.append(unit(sun + offset))
    return 1 - hidden(view, lights, float(spread.max())).unsqueeze(1)


def contact(view: GBuffer) -> Tensor:
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


def outline(view: GBuffer, thickness: int) -> Tensor:
    """Where the surface changes or folds sharply, (b, 1, n) bool, as far on this side as on that.

    thickness: pixels of a G-buffer of 512, on either side; where that is less than a ray, the line is one ray wide.
    """
    return lines(view, thickness * view.size // 512)


def lines(view: GBuffer, reach: int) -> Tensor:
    """The same, ``reach`` rays on either side; 0: the rays at which something changes, on one side alone."""
    surface = view.surface.unflatten(1, (view.size, view.size)).float().unsqueeze(1)
    folds = view.normal.unflatten(2, (view.size, view.size)) * (surface >= FIRST_THING)
    maps = torch.cat((surface, folds), 1)
    steps = torch.zeros_like(maps)
    steps[:, :, :, 1:] = (maps[:, :, :, 1:] - maps[:, :, :, :-1]).abs()
    steps[:, :, 1:] = torch.maximum(steps[:, :, 1:], (maps[:, :, 1:] - maps[:, :, :-1]).abs())
    edge = ((steps[:, :1] > 0.5) | (steps[:, 1:].amax(1, keepdim=True) > 0.35)).float()
    if reach == 0:
        return (edge > 0.5).flatten(2)
    wide = F.max_pool2d(edge, (1, 2 * reach), 1, (0, reach))[..., 1:]
    wide = F.max_pool2d(wide, (2 * reach, 1), 1, (reach, 0))[:, :, 1:]
    return (wide > 0.5).flatten(2)


def sky_map(view: GBuffer) -> Tensor:
    """Coordinates on a flat layer of clouds, (b, 2, n)."""
    return view.directions[:, :2] / (view.directions[:, 2:3].clamp(min=0) + 0.18) * 0.16


def pixels(view: GBuffer) -> tuple[Tensor, Tensor]:
    """Columns and rows of each ray in pixels of a picture 256 wide, each (1, n)."""
    axis = (torch.arange(view.size, device=view.ids.device) + 0.5) * (256 / view.size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return columns.reshape(1, -1), rows.reshape(1, -1)
