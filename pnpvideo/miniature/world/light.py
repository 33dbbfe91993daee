"""Shading terms that the styles share: masks, sun and shadows, outlines, coordinates.

Shapes: b instants, n rays each.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.miniature.world.geometry import FIRST_THING, GROUND, GBuffer, shadow_share, unit
from pnpvideo.miniature.world.scene import Instant


def id_mask(view: GBuffer, which: int) -> Tensor:
    """Where the ray hits id ``which``, (b, 1, n) bool."""
    return (view.ids == which).unsqueeze(1)


def material_mask(view: GBuffer, material: int) -> Tensor:
    """Where the ray hits ``material``, (b, 1, n) bool."""
    return (view.material == material).unsqueeze(1)


def values(view: GBuffer, value: Callable[[Instant], tuple[float, ...]]) -> Tensor:
    """``value`` of each instant as a tensor (b, c, 1)."""
    return torch.tensor([value(instant) for instant in view.instants], device=view.ids.device).unsqueeze(2)


def plain_albedo(view: GBuffer, grounds: dict[str, tuple[float, float, float]]) -> Tensor:
    """Flat colours of the ground, by its name in ``grounds``, and of things, (b, 3, n)."""
    return torch.where(id_mask(view, GROUND), values(view, lambda i: grounds[i.ground]), view.albedo)


def sun_direction(view: GBuffer) -> Tensor:
    """Unit direction to the sun, (b, 3, 1); the elevation is reduced at sunset."""

    def toward(instant: Instant) -> tuple[float, ...]:
        elevation = 0.42 * instant.sun_elevation if instant.sky == "sunset" else instant.sun_elevation
        flat = math.cos(elevation)
        return flat * math.cos(instant.sun_azimuth), flat * math.sin(instant.sun_azimuth), math.sin(elevation)

    return values(view, toward)


def occlusion(view: GBuffer, lights: list[Tensor], spread: float = 0.0) -> Tensor:
    """Share of ``lights`` that each hit point does not see, (b, n) in [0, 1]; see geometry.shadow_share."""
    return shadow_share(view.position + 0.01 * view.normal, lights, view.instants, spread)


def hard_shadow(view: GBuffer) -> Tensor:
    """Where things shadow the ground, (b, n) bool."""
    return (occlusion(view, [sun_direction(view)]) > 0) & (view.ids == GROUND)


def sun_visibility(view: GBuffer, spread: Tensor, rays: int = 4) -> Tensor:
    """Share of the sun's disc that each point sees, (b, 1, n) in [0, 1]: its centre and ``rays`` points of its rim.

    spread: (b, 1, 1), half the angle of the disc in radians.
    """
    sun = sun_direction(view)
    up = torch.tensor([0.0, 0.0, 1.0], device=sun.device).reshape(1, 3, 1).expand_as(sun)
    across = unit(torch.linalg.cross(sun, up, dim=1))
    along = torch.linalg.cross(sun, across, dim=1)
    lights = [sun]
    for ray in range(rays):
        angle = 2 * math.pi * (ray + 0.35) / rays
        offset = spread * (math.cos(angle) * across + math.sin(angle) * along)
        lights.append(unit(sun + offset))
    return 1 - occlusion(view, lights, float(spread.max())).unsqueeze(1)


def contact_shadow(view: GBuffer) -> Tensor:
    """Factor in [0, 1], (b, 1, n), that darkens the ground close to things."""
    shade = torch.ones_like(view.depth).unsqueeze(1)
    for slot in range(max(len(instant.things) for instant in view.instants)):
        things = [instant.things[slot] if slot < len(instant.things) else None for instant in view.instants]
        disc = torch.tensor(
            [(t.x, t.y, t.size, t.lift) if t else (1e4, 1e4, 1.0, 0.0) for t in things], device=view.ids.device
        ).unsqueeze(2)
        away = (view.position[:, :2] - disc[:, :2]).square().sum(1, keepdim=True).sqrt() / disc[:, 2:3]
        shade = shade * (1 - 0.6 * torch.exp(-disc[:, 3:4] * 2) * torch.exp(-(((away - 0.5).clamp(min=0) / 0.55) ** 2)))
    return shade


def outline(view: GBuffer, thickness: int) -> Tensor:
    """Lines along part borders and creases, (b, 1, n) bool.

    thickness: on either side of the border, in pixels of a G-buffer 512 wide; at least one ray in all.
    """
    return surface_edges(view, thickness * view.size // 512)


def surface_edges(view: GBuffer, reach: int) -> Tensor:
    """As ``outline``, ``reach`` rays on either side; 0: one ray wide, on the right and lower side of the border."""
    surface = view.surface.unflatten(1, (view.size, view.size)).float().unsqueeze(1)
    normals = view.normal.unflatten(2, (view.size, view.size)) * (surface >= FIRST_THING)
    maps = torch.cat((surface, normals), 1)
    steps = torch.zeros_like(maps)
    steps[:, :, :, 1:] = (maps[:, :, :, 1:] - maps[:, :, :, :-1]).abs()
    steps[:, :, 1:] = torch.maximum(steps[:, :, 1:], (maps[:, :, 1:] - maps[:, :, :-1]).abs())
    edge = ((steps[:, :1] > 0.5) | (steps[:, 1:].amax(1, keepdim=True) > 0.35)).float()
    if reach == 0:
        return (edge > 0.5).flatten(2)
    wide = F.max_pool2d(edge, (1, 2 * reach), 1, (0, reach))[..., 1:]
    wide = F.max_pool2d(wide, (2 * reach, 1), 1, (reach, 0))[:, :, 1:]
    return (wide > 0.5).flatten(2)


def cloud_coordinates(view: GBuffer) -> Tensor:
    """Texture coordinates on a flat layer of clouds, (b, 2, n)."""
    return view.directions[:, :2] / (view.directions[:, 2:3].clamp(min=0) + 0.18) * 0.16


def pixel_coordinates(view: GBuffer) -> tuple[Tensor, Tensor]:
    """Column and row of each ray in pixels of a picture 256 wide, (1, n) each."""
    axis = (torch.arange(view.size, device=view.ids.device) + 0.5) * (256 / view.size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return columns.reshape(1, -1), rows.reshape(1, -1)
