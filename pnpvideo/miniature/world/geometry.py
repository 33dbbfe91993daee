"""Ray casting: the G-buffers of a batch of instants, and shadows.

A thing is a union of convex solids, so a ray meets each of them in one interval. Only rays through a thing's bounding
sphere are intersected with its solids. Camera rays and shadow rays share this code.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pnpvideo.miniature.world.scene import COLOURS, Camera, Instant, Thing
from pnpvideo.miniature.world.shapes import MATERIALS, PLAIN, SHAPES
from pnpvideo.miniature.world.solids import SOLIDS

SKY, GROUND, FIRST_THING = 0, 1, 2
FAR = 1.0e6
_MAX_PARTS = 16


class Hits(NamedTuple):
    """The first hits of ``n`` rays in each of ``b`` instants.

    ids: (b, n) int, 0 sky, 1 ground, 2 + i thing i. surface: (b, n) int, as ids but with one number a part.
    depth: (b, n) distance along the unit ray. normal: (b, 3, n) in world space. local: (b, 3, n) position in the frame
    of the thing. albedo: (b, 3, n) sRGB of things, 0 elsewhere. material: (b, n) int, a code of shapes.
    """

    ids: Tensor
    surface: Tensor
    depth: Tensor
    normal: Tensor
    local: Tensor
    albedo: Tensor
    material: Tensor


@dataclass(frozen=True)
class GBuffer:
    """Hits of n = size * size camera rays in row-major order, with position and directions (b, 3, n), origin (b, 3, 1).

    The fields from ``ids`` to ``material`` are those of Hits.
    """

    instants: tuple[Instant, ...]
    size: int
    ids: Tensor
    surface: Tensor
    depth: Tensor
    position: Tensor
    normal: Tensor
    local: Tensor
    albedo: Tensor
    material: Tensor
    directions: Tensor
    origin: Tensor


class Pose(NamedTuple):
    """Pose of one thing in each instant: rotation (b, 3, 3) local -> world, centre (b, 3, 1), size (b, 1, 1)."""

    rotation: Tensor
    centre: Tensor
    size: Tensor


def trace_gbuffer(instants: Sequence[Instant], size: int, device: torch.device | str = "cpu") -> GBuffer:
    """Cast size x size camera rays into each of ``instants``."""
    origin, directions = camera_rays([instant.camera for instant in instants], size, device)
    hits = cast_rays(origin, directions, instants)
    position = origin + directions * hits.depth.unsqueeze(1)
    return GBuffer(
        instants=tuple(instants), size=size, position=position, directions=directions, origin=origin, **hits._asdict()
    )


def cast_rays(origin: Tensor, directions: Tensor, instants: Sequence[Instant]) -> Hits:
    """First hits of rays with unit ``directions`` (b, 3, n) from ``origin`` (b, 3, n or 1)."""
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
        material=torch.zeros_like(ids),
    )
    for slot, shape, pose in _poses(instants, depth):
        row, pixel = _near_bounds(origin, directions, pose, SHAPES[shape].bound, spread=0.0).nonzero(as_tuple=True)
        rotation, extent = pose.rotation[row], pose.size[row, :, 0]
        o = _to_local(origin.expand(b, 3, n)[row, :, pixel] - pose.centre[row, :, 0], rotation) / extent
        d = _to_local(directions[row, :, pixel], rotation) / extent
        colour = torch.tensor([_thing_colour(instant, slot) for instant in instants], device=depth.device)
        material = torch.tensor([_thing_material(instant, slot) for instant in instants], device=depth.device)
        for index, part in enumerate(SHAPES[shape].parts):
            at, scale = (torch.tensor(triple, device=o.device, dtype=o.dtype) for triple in (part.at, part.extent))
            near, hit, outward = SOLIDS[part.solid]((o - at) / scale, d / scale)
            closer = hit & (near < hits.depth[row, pixel])
            r, p = row[closer], pixel[closer]
            hits.depth[r, p] = near[closer]
            hits.ids[r, p] = FIRST_THING + slot
            hits.surface[r, p] = FIRST_THING + slot * _MAX_PARTS + index
            hits.normal[r, :, p] = unit(rotation[closer] @ (outward[closer] / scale).unsqueeze(2)).squeeze(2)
            hits.local[r, :, p] = o[closer] + d[closer] * near[closer].unsqueeze(1)
            inherits = part.colour is None
            hits.albedo[r, :, p] = colour[r] if inherits else torch.tensor(part.colour, device=o.device)
            hits.material[r, p] = material[r] if inherits else part.material
    return hits


def shadow_share(origin: Tensor, lights: list[Tensor], instants: Sequence[Instant], spread: float = 0.0) -> Tensor:
    """Share of ``lights`` that things block, (b, n) in [0, 1], seen from ``origin`` (b, 3, n).

    lights: unit directions (b, 3, 1) towards each light. spread: upper bound, in radians, of the angle between the
    first light and the others, by which bounding spheres are widened.
    """
    b, _, n = origin.shape
    hidden = torch.zeros(b, n, len(lights), device=origin.device)
    for _, shape, pose in _poses(instants, origin):
        row, pixel = _near_bounds(origin, lights[0], pose, SHAPES[shape].bound, spread).nonzero(as_tuple=True)
        rotation, extent = pose.rotation[row], pose.size[row, :, 0]
        o = _to_local(origin[row, :, pixel] - pose.centre[row, :, 0], rotation) / extent
        for part in SHAPES[shape].parts:
            at, scale = (torch.tensor(triple, device=o.device, dtype=o.dtype) for triple in (part.at, part.extent))
            start = (o - at) / scale
            for index, light in enumerate(lights):
                d = _to_local(light[row, :, 0], rotation) / extent / scale
                hit = SOLIDS[part.solid](start, d)[1]
                hidden[row[hit], pixel[hit], index] = 1.0
    return hidden.mean(2)


def _thing_colour(instant: Instant, slot: int) -> tuple[float, float, float]:
    return COLOURS[instant.things[slot].colour] if slot < len(instant.things) else (0.0, 0.0, 0.0)


def _thing_material(instant: Instant, slot: int) -> int:
    return MATERIALS.index(instant.things[slot].material) if slot < len(instant.things) else PLAIN


def _poses(instants: Sequence[Instant], like: Tensor) -> Iterator[tuple[int, str, Pose]]:
    """Yield (slot, shape, pose) for every shape of every slot; instants with another shape there get a pose far below
    the ground."""
    for slot in range(max(len(instant.things) for instant in instants)):
        things = [instant.things[slot] if slot < len(instant.things) else None for instant in instants]
        for shape in SHAPES:
            chosen = [thing if thing is not None and thing.shape == shape else None for thing in things]
            if any(chosen):
                yield slot, shape, thing_pose(chosen, like)


def _near_bounds(origin: Tensor, directions: Tensor, pose: Pose, bound: float, spread: float) -> Tensor:
    """(b, n) bool: whether a ray meets the thing's bounding sphere, widened by the angle ``spread`` in radians."""
    to_centre = pose.centre - origin
    along = (to_centre * directions).sum(1)
    miss = (to_centre * to_centre).sum(1) - along * along
    reach = bound * pose.size[:, 0] + spread * along.clamp(min=0)
    return (miss < reach * reach) & (along > -bound * pose.size[:, 0])


def _to_local(vectors: Tensor, rotation: Tensor) -> Tensor:
    return (rotation.mT @ vectors.unsqueeze(2)).squeeze(2)


def camera_rays(cameras: list[Camera], size: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Origins (b, 3, 1) and unit directions (b, 3, size * size) through pixel centres, row-major from the top left."""
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
    """Normalise vectors (b, 3, n) to length 1."""
    return vectors * (vectors * vectors).sum(1, keepdim=True).clamp(min=1e-12).rsqrt()


def thing_pose(things: list[Thing | None], like: Tensor) -> Pose:
    """The pose of one thing of each instant; None: no thing, a pose far below the ground. like: gives the device."""
    rotations, centres, sizes = [], [], []
    for thing in things:
        if thing is None:
            rotations.append(torch.eye(3))
            centres.append([0.0, 0.0, -1e4])
            sizes.append(1.0)
            continue
        cos, sin = math.cos(thing.heading), math.sin(thing.heading)
        heading = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        cos, sin = math.cos(thing.roll_angle), math.sin(thing.roll_angle)
        roll = torch.tensor([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
        rotations.append(heading @ roll)
        centres.append([thing.x, thing.y, thing.lift + thing.size * SHAPES[thing.shape].half_height])
        sizes.append(thing.size)
    return Pose(
        torch.stack(rotations).to(like.device),
        torch.tensor(centres, device=like.device).unsqueeze(2),
        torch.tensor(sizes, device=like.device).reshape(-1, 1, 1),
    )
