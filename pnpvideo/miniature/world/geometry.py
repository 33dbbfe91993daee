"""What each pixel sees: one ray-cast of a batch of instants makes their G-buffers.

Every thing is a convex solid, so a ray meets it in one interval [near, far]: the intersection of the
intervals of its constraints (a slab, a quadric). The same function serves the camera's rays and the sun's.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pnpvideo.miniature.world.scene import SHAPES, Camera, Instant, Thing

SKY, GROUND, FIRST_THING = 0, 1, 2
FAR = 1.0e6
_RADIUS = {"ball": 1.0, "cube": 0.82, "cylinder": 0.78, "cone": 1.0}
_HALF_HEIGHT = {"ball": 1.0, "cube": 0.82, "cylinder": 0.95, "cone": 1.05}
_BOUND = 1.46


@dataclass(frozen=True)
class GBuffer:
    """What ``pixels`` = height * width rays of each of ``b`` instants see.

    ids: (b, n) int, 0 sky, 1 ground, 2 + i thing i. depth: (b, n) distance along the unit ray.
    position, normal: (b, 3, n) in the world. local: (b, 3, n) in the hit thing's own frame.
    directions: (b, 3, n) unit rays. origin: (b, 3, 1).
    """

    instants: tuple[Instant, ...]
    size: int
    ids: Tensor
    depth: Tensor
    position: Tensor
    normal: Tensor
    local: Tensor
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
    ids, depth, normal, local = cast(origin, directions, instants)
    position = origin + directions * depth.unsqueeze(1)
    return GBuffer(tuple(instants), size, ids, depth, position, normal, local, directions, origin)


def cast(
    origin: Tensor, directions: Tensor, instants: list[Instant] | tuple[Instant, ...]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """First hits of unit rays (b, 3, n) from origins (b, 3, n or 1): ids, depth, normal, local (see GBuffer)."""
    b, _, n = directions.shape
    down = directions[:, 2]
    ground = torch.where(down < -1e-6, -origin[:, 2] / down.clamp(max=-1e-6), torch.full_like(down, FAR))
    on_ground = (ground > 0) & (ground < FAR / 10)
    depth = torch.where(on_ground, ground, torch.full_like(ground, FAR))
    ids = on_ground.long()
    normal = torch.zeros_like(directions)
    normal[:, 2] = 1.0
    local = torch.zeros_like(directions)
    for slot, shape, pose in _poses(instants, depth):
        near_it = _near(origin, directions, pose, spread=0.0)
        row, pixel = near_it.nonzero(as_tuple=True)
        turn, extent = pose.rotation[row], pose.size[row, :, 0]
        o = _local(origin.expand(b, 3, n)[row, :, pixel] - pose.centre[row, :, 0], turn) / extent
        d = _local(directions[row, :, pixel], turn) / extent
        near, hit, n_local, point = _SOLIDS[shape](o, d)
        closer = hit & (near < depth[row, pixel])
        row, pixel = row[closer], pixel[closer]
        depth[row, pixel] = near[closer]
        ids[row, pixel] = FIRST_THING + slot
        normal[row, :, pixel] = (turn[closer] @ n_local[closer].unsqueeze(2)).squeeze(2)
        local[row, :, pixel] = point[closer]
    return ids, depth, normal, local


def shadow(origin: Tensor, lights: list[Tensor], instants: tuple[Instant, ...], spread: float = 0.0) -> Tensor:
    """Share in [0, 1] of ``lights`` (unit directions (b, 3, 1) toward each) that things hide from ``origin`` (b, 3, n).

    ``spread`` bounds the angle between the lights and their first: only points near enough are looked at.
    """
    b, _, n = origin.shape
    hidden = torch.zeros(b, n, len(lights), device=origin.device)
    for _, shape, pose in _poses(instants, origin):
        row, pixel = _near(origin, lights[0], pose, spread).nonzero(as_tuple=True)
        turn, extent = pose.rotation[row], pose.size[row, :, 0]
        o = _local(origin[row, :, pixel] - pose.centre[row, :, 0], turn) / extent
        for index, light in enumerate(lights):
            d = _local(light[row, :, 0], turn) / extent
            hit = _SOLIDS[shape](o, d)[1]
            hidden[row[hit], pixel[hit], index] = 1.0
    return hidden.mean(2)


def _poses(instants: list[Instant] | tuple[Instant, ...], like: Tensor) -> Iterator[tuple[int, str, Pose]]:
    """(slot, shape, pose of the instants whose thing in that slot has that shape; the others far below ground)."""
    for slot in range(max(len(instant.things) for instant in instants)):
        there = [instant.things[slot] if slot < len(instant.things) else None for instant in instants]
        for shape in SHAPES:
            mine = [thing if thing is not None and thing.shape == shape else None for thing in there]
            if any(mine):
                yield slot, shape, thing_pose(mine, like)


def _near(origin: Tensor, directions: Tensor, pose: Pose, spread: float) -> Tensor:
    """(b, n) bool: does the ray pass through the thing's bounding sphere, widened by an angle ``spread``?"""
    to_centre = pose.centre - origin
    along = (to_centre * directions).sum(1)
    miss = (to_centre * to_centre).sum(1) - along * along
    reach = _BOUND * pose.size[:, 0] + spread * along.clamp(min=0)
    return (miss < reach * reach) & (along > -_BOUND * pose.size[:, 0])


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
        centres.append([thing.x, thing.y, thing.lift + thing.size * _HALF_HEIGHT[thing.shape]])
        sizes.append(thing.size)
    return Pose(
        torch.stack(rotations).to(like.device),
        torch.tensor(centres, device=like.device).unsqueeze(2),
        torch.tensor(sizes, device=like.device).reshape(-1, 1, 1),
    )


def _quadric(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Roots of a t^2 + 2 b t + c, in order, and where they are real."""
    discriminant = b * b - a * c
    real = discriminant > 0
    root = discriminant.clamp(min=0).sqrt()
    safe = torch.where(a.abs() < 1e-9, torch.full_like(a, 1e-9), a)
    first, second = (-b - root) / safe, (-b + root) / safe
    return torch.minimum(first, second), torch.maximum(first, second), real


def _slab(o: Tensor, d: Tensor, half: float) -> tuple[Tensor, Tensor]:
    safe = torch.where(d.abs() < 1e-9, torch.full_like(d, 1e-9), d)
    first, second = (-half - o) / safe, (half - o) / safe
    return torch.minimum(first, second), torch.maximum(first, second)


def _hit(near: Tensor, far: Tensor) -> Tensor:
    return (near < far) & (near > 1e-3)


def _ball(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    near, far, real = _quadric((d * d).sum(1), (o * d).sum(1), (o * o).sum(1) - 1.0)
    point = o + d * near.unsqueeze(1)
    return near, real & _hit(near, far), point, point


def _cube(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    lows, highs = _slab(o, d, _RADIUS["cube"])
    near, axis = lows.max(1)
    far = highs.amin(1)
    normal = torch.zeros_like(d).scatter_(1, axis.unsqueeze(1), 1.0) * -d.sign()
    return near, _hit(near, far), normal, o + d * near.unsqueeze(1)


def _round(o: Tensor, d: Tensor, near: Tensor, far: Tensor, inside: Tensor, half: float, slope: float):
    """Finish a solid of revolution about z: cut it with the slab |z| < half, find the normal."""
    low, high = _slab(o[:, 2], d[:, 2], half)
    capped = low > near
    near, far = torch.maximum(near, low), torch.minimum(far, high)
    point = o + d * near.unsqueeze(1)
    ring = point[:, :2].norm(dim=1, keepdim=True).clamp(min=1e-6)
    side = torch.cat((point[:, :2] / ring, torch.full_like(ring, slope)), 1) / math.sqrt(1 + slope * slope)
    cap = torch.cat((torch.zeros_like(point[:, :2]), -d[:, 2:].sign()), 1)
    return near, inside & _hit(near, far), torch.where(capped.unsqueeze(1), cap, side), point


def _cylinder(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    p, q = o[:, :2], d[:, :2]
    near, far, real = _quadric((q * q).sum(1), (p * q).sum(1), (p * p).sum(1) - _RADIUS["cylinder"] ** 2)
    return _round(o, d, near, far, real, _HALF_HEIGHT["cylinder"], 0.0)


def _cone(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    half = _HALF_HEIGHT["cone"]
    slope = _RADIUS["cone"] / (2 * half)
    p, q = o[:, :2], d[:, :2]
    below, fall = (half - o[:, 2]) * slope, d[:, 2] * slope
    a = (q * q).sum(1) - fall * fall
    near, far, real = _quadric(a, (p * q).sum(1) + below * fall, (p * p).sum(1) - below * below)
    # a < 0: the ray runs inside both nappes; the lower one lies before the first root if the ray climbs.
    steep, climbs = a < 0, d[:, 2] > 0
    endless = torch.full_like(near, FAR)
    lower_near = torch.where(climbs, -endless, torch.where(real, far, -endless))
    lower_far = torch.where(climbs, torch.where(real, near, endless), endless)
    near, far = torch.where(steep, lower_near, near), torch.where(steep, lower_far, far)
    return _round(o, d, near, far, real | steep, half, slope)


_SOLIDS = {"ball": _ball, "cube": _cube, "cylinder": _cylinder, "cone": _cone}
