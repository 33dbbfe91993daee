"""What each pixel sees: one ray-cast of a batch of instants makes their G-buffers.

A thing is a union of convex solids (its shape's parts), so a ray meets each in one interval; rays are looked at only
where they pass through the thing's bounding sphere. The same code serves the camera's rays and the sun's.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pnpvideo.miniature.world.scene import COLOURS, Camera, Instant, Thing
from pnpvideo.miniature.world.shapes import MATERIALS, PLAIN, SHAPES
from pnpvideo.miniature.world.solids import SOLIDS

SKY, GROUND, FIRST_THING = 0, 1, 2
FAR = 1.0e6
_MOST_PARTS = 16


class Hits(NamedTuple):
    """What ``n`` rays of each of ``b`` instants meet first.

    ids: (b, n) int, 0 sky, 1 ground, 2 + i thing i. surface: (b, n) int, as ids but another number for each part.
    depth: (b, n) distance along the unit ray. normal: (b, 3, n) in the world. local: (b, 3, n) place in the hit
    thing's own frame. albedo: (b, 3, n) sRGB of things, 0 elsewhere. matter: (b, n) int, see shapes.
    """

    ids: Tensor
    surface: Tensor
    depth: Tensor
    normal: Tensor
    local: Tensor
    albedo: Tensor
    matter: Tensor


@dataclass(frozen=True)
class GBuffer:
    """Hits of size * size rays, row by row, and where they are: position, directions (b, 3, n), origin (b, 3, 1)."""

    instants: tuple[Instant, ...]
    size: int
    ids: Tensor
    surface: Tensor
    depth: Tensor
    position: Tensor
    normal: Tensor
    local: Tensor
    albedo: Tensor
    matter: Tensor
    directions: Tensor
    origin: Tensor


class Pose(NamedTuple):
    """Where a thing of each instant is: rotation (b, 3, 3) local -> world, centre (b, 3, 1), size (b, 1, 1)."""

    rotation: Tensor
    centre: Tensor
    size: Tensor


def look(instants: list[Instant] | tuple[Instant, ...], size: int, device: torch.device | str = "cpu") -> GBuffer:
    """The G-buffers of ``instants`` on a grid of size x size rays."""
    origin, directions = camera_rays([instant.camera for instant in instants], size, device)
    hits = cast(origin, directions, instants)
    position = origin + directions * hits.depth.unsqueeze(1)
    return GBuffer(
        instants=tuple(instants), size=size, position=position, directions=directions, origin=origin, **hits._asdict()
    )


def cast(origin: Tensor, directions: Tensor, instants: list[Instant] | tuple[Instant, ...]) -> Hits:
    """First hits of unit rays (b, 3, n) from origins (b, 3, n or 1)."""
    b, _, n = directions.shape
    down = directions[:, 2]
    ground = torch.where(down < -1e-6, -origin[:, 2] / down.clamp(max=-1e-6), torch.full_like(down, FAR))
    on_ground = (ground > 0) & (ground < FAR / 10)
    depth = torch.where(on_ground, ground, torch.full_like(ground, FAR))
    normal = torch.zeros_like(directions)
    normal[:, 2] = 1.0
    ids = on_ground.long()
    hits = Hits(
        ids=ids,
        surface=ids.clone(),
        depth=depth,
        normal=normal,
        local=torch.zeros_like(directions),
        albedo=torch.zeros_like(directions),
        matter=torch.zeros_like(ids),
    )
    for slot, shape, pose in _poses(instants, depth):
        row, pixel = _near(origin, directions, pose, SHAPES[shape].bound, spread=0.0).nonzero(as_tuple=True)
        turn, extent = pose.rotation[row], pose.size[row, :, 0]
        o = _local(origin.expand(b, 3, n)[row, :, pixel] - pose.centre[row, :, 0], turn) / extent
        d = _local(directions[row, :, pixel], turn) / extent
        own = torch.tensor([_own_colour(instant, slot) for instant in instants], device=depth.device)
        matter = torch.tensor([_own_matter(instant, slot) for instant in instants], device=depth.device)
        for index, part in enumerate(SHAPES[shape].parts):
            at, scale = (torch.tensor(triple, device=o.device, dtype=o.dtype) for triple in (part.at, part.extent))
            near, hit, outward = SOLIDS[part.solid]((o - at) / scale, d / scale)
            closer = hit & (near < hits.depth[row, pixel])
            r, p = row[closer], pixel[closer]
            hits.depth[r, p] = near[closer]
            hits.ids[r, p] = FIRST_THING + slot
            hits.surface[r, p] = FIRST_THING + slot * _MOST_PARTS + index
            hits.normal[r, :, p] = unit(turn[closer] @ (outward[closer] / scale).unsqueeze(2)).squeeze(2)
            hits.local[r, :, p] = o[closer] + d[closer] * near[closer].unsqueeze(1)
            own_part = part.colour is None
            hits.albedo[r, :, p] = own[r] if own_part else torch.tensor(part.colour, device=o.device)
            hits.matter[r, p] = matter[r] if own_part else part.matter
    return hits


def shadow(origin: Tensor, lights: list[Tensor], instants: tuple[Instant, ...], spread: float = 0.0) -> Tensor:
    """Share in [0, 1] of ``lights`` (unit directions (b, 3, 1) toward each) that things hide from ``origin`` (b, 3, n).

    ``spread`` bounds the angle between the lights and their first: only points near enough are looked at.
    """
    b, _, n = origin.shape
    hidden = torch.zeros(b, n, len(lights), device=origin.device)
    for _, shape, pose in _poses(instants, origin):
        row, pixel = _near(origin, lights[0], pose, SHAPES[shape].bound, spread).nonzero(as_tuple=True)
        turn, extent = pose.rotation[row], pose.size[row, :, 0]
        o = _local(origin[row, :, pixel] - pose.centre[row, :, 0], turn) / extent
        for part in SHAPES[shape].parts:
            at, scale = (torch.tensor(triple, device=o.device, dtype=o.dtype) for triple in (part.at, part.extent))
            start = (o - at) / scale
            for index, light in enumerate(lights):
                d = _local(light[row, :, 0], turn) / extent / scale
                hit = SOLIDS[part.solid](start, d)[1]
                hidden[row[hit], pixel[hit], index] = 1.0
    return hidden.mean(2)


def _own_colour(instant: Instant, slot: int) -> tuple[float, float, float]:
    return COLOURS[instant.things[slot].colour] if slot < len(instant.things) else (0.0, 0.0, 0.0)


def _own_matter(instant: Instant, slot: int) -> int:
    return MATERIALS.index(instant.things[slot].material) if slot < len(instant.things) else PLAIN


def _poses(instants: list[Instant] | tuple[Instant, ...], like: Tensor) -> Iterator[tuple[int, str, Pose]]:
    """(slot, shape, pose of the instants whose thing in that slot has that shape; the others far below ground)."""
    for slot in range(max(len(instant.things) for instant in instants)):
        there = [instant.things[slot] if slot < len(instant.things) else None for instant in instants]
        for shape in SHAPES:
            mine = [thing if thing is not None and thing.shape == shape else None for thing in there]
            if any(mine):
                yield slot, shape, thing_pose(mine, like)


def _near(origin: Tensor, directions: Tensor, pose: Pose, bound: float, spread: float) -> Tensor:
    """(b, n) bool: does the ray pass through the thing's bounding sphere, widened by an angle ``spread``?"""
    to_centre = pose.centre - origin
    along = (to_centre * directions).sum(1)
    miss = (to_centre * to_centre).sum(1) - along * along
    reach = bound * pose.size[:, 0] + spread * along.clamp(min=0)
    return (miss < reach * reach) & (along > -bound * pose.size[:, 0])


def _local(vectors: Tensor, rotation: Tensor) -> Tensor:
    return (rotation.mT @ vectors.unsqueeze(2)).squeeze(2)


def camera_rays(cameras: list[Camera], size: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Origins (b, 3, 1) and unit directions (b, 3, size * size), pixel centres, row by row from the top."""
    origin, basis, focal = camera_frame(cameras, device)
    axis = (torch.arange(size, device=device) + 0.5) / size * 2 - 1
    v, u = torch.meshgrid(-axis, axis, indexing="ij")
    plane = torch.stack((u, v), 0).reshape(2, -1).expand(len(cameras), 2, -1)
    ahead = focal.expand(len(cameras), 1, plane.shape[2])
    directions = basis @ torch.cat((plane, ahead), 1)
    return origin, unit(directions)


def camera_frame(cameras: list[Camera], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Origins (b, 3, 1), bases (b, 3, 3) with columns right, up, forward, and focal lengths (b, 1, 1)."""
    origins, bases, focal = [], [], []
    for camera in cameras:
        flat = camera.distance * math.cos(camera.elevation)
        offset = torch.tensor(
            [
                flat * math.cos(camera.azimuth),
                flat * math.sin(camera.azimuth),
                camera.distance * math.sin(camera.elevation),
            ],
            dtype=torch.float64,
        )
        forward = -offset / offset.norm()
        right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
        right = right / right.norm()
        origins.append(offset + torch.tensor(camera.target, dtype=torch.float64))
        bases.append(torch.stack((right, torch.linalg.cross(right, forward), forward), 1))
        focal.append(1.0 / math.tan(camera.fov / 2))
    return (
        torch.stack(origins).unsqueeze(2).to(device, torch.float32),
        torch.stack(bases).to(device, torch.float32),
        torch.tensor(focal, device=device).reshape(-1, 1, 1),
    )


def unit(vectors: Tensor) -> Tensor:
    """Vectors (b, 3, n) scaled to length 1."""
    return vectors * (vectors * vectors).sum(1, keepdim=True).clamp(min=1e-12).rsqrt()


def thing_pose(things: list[Thing | None], like: Tensor) -> Pose:
    """Poses of one slot of things, None where an instant has no thing there."""
    rotations, centres, sizes = [], [], []
    for thing in things:
        if thing is None:
            rotations.append(torch.eye(3))
            centres.append([0.0, 0.0, -1e4])
            sizes.append(1.0)
            continue
        cos, sin = math.cos(thing.heading), math.sin(thing.heading)
        turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        cos, sin = math.cos(thing.rolled), math.sin(thing.rolled)
        roll = torch.tensor([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
        rotations.append(turn @ roll)
        centres.append([thing.x, thing.y, thing.lift + thing.size * SHAPES[thing.shape].half_height])
        sizes.append(thing.size)
    return Pose(
        torch.stack(rotations).to(like.device),
        torch.tensor(centres, device=like.device).unsqueeze(2),
        torch.tensor(sizes, device=like.device).reshape(-1, 1, 1),
    )
