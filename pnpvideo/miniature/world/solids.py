"""Intersections of rays with convex unit solids.

A ray is inside a convex solid for one interval [near, far]: the intersection of the intervals of its constraints. Each
function takes origins ``o`` and directions ``d`` of any length, (m, 3) both, and returns near (m,) in units of the
direction, whether the ray hits (m,) bool, and the outward normal (m, 3), not normalised.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Hit = tuple[Tensor, Tensor, Tensor]
_INFINITE = 1.0e6


def ball(o: Tensor, d: Tensor) -> Hit:
    """x^2 + y^2 + z^2 <= 1."""
    near, far, real = _quadric((d * d).sum(1), (o * d).sum(1), (o * o).sum(1) - 1.0)
    return near, real & _hit(near, far), o + d * near.unsqueeze(1)


def cube(o: Tensor, d: Tensor) -> Hit:
    """abs x, y, z <= 1."""
    lows, highs = _slab(o, d)
    near, axis = lows.max(1)
    far = highs.amin(1)
    normal = torch.zeros_like(d).scatter_(1, axis.unsqueeze(1), 1.0) * -d.sign()
    return near, _hit(near, far), normal


def cylinder(o: Tensor, d: Tensor) -> Hit:
    """x^2 + y^2 <= 1, abs z <= 1."""
    p, q = o[:, :2], d[:, :2]
    near, far, real = _quadric((q * q).sum(1), (p * q).sum(1), (p * p).sum(1) - 1.0)
    return _revolution(o, d, near, far, real, 0.0)


def cone(o: Tensor, d: Tensor) -> Hit:
    """A cone with its apex at z = 1 and a base of radius 1 at z = -1."""
    slope = 0.5
    p, q = o[:, :2], d[:, :2]
    below, fall = (1 - o[:, 2]) * slope, d[:, 2] * slope
    a = (q * q).sum(1) - fall * fall
    near, far, real = _quadric(a, (p * q).sum(1) + below * fall, (p * p).sum(1) - below * below)
    # a < 0: the ray is inside both nappes; it is in the lower one before the first root if it climbs.
    steep, climbs = a < 0, d[:, 2] > 0
    endless = torch.full_like(near, _INFINITE)
    lower_near = torch.where(climbs, -endless, torch.where(real, far, -endless))
    lower_far = torch.where(climbs, torch.where(real, near, endless), endless)
    near, far = torch.where(steep, lower_near, near), torch.where(steep, lower_far, far)
    return _revolution(o, d, near, far, real | steep, slope)


def wheel(o: Tensor, d: Tensor) -> Hit:
    """x^2 + z^2 <= 1, abs y <= 1: a cylinder along y."""
    near, hit, normal = cylinder(o[:, [0, 2, 1]], d[:, [0, 2, 1]])
    return near, hit, normal[:, [0, 2, 1]]


def _polyhedron(*planes: tuple[float, float, float, float]) -> Callable[[Tensor, Tensor], Hit]:
    """The intersection of half spaces n . p <= h, given as planes (n, h)."""

    def solid(o: Tensor, d: Tensor) -> Hit:
        table = torch.tensor(planes, device=o.device)
        normals, offsets = table[:, :3], table[:, 3]
        against = d @ normals.T
        inside = offsets - o @ normals.T
        parallel = against.abs() < 1e-9
        at = inside / torch.where(parallel, torch.full_like(against, 1e-9), against)
        misses = parallel & (inside < 0)
        near, face = torch.where((against < 0) & ~parallel, at, torch.full_like(at, -_INFINITE)).max(1)
        far = torch.where((against > 0) & ~parallel, at, torch.full_like(at, _INFINITE)).amin(1)
        return near, _hit(near, far) & ~misses.any(1), normals[face]

    return solid


def _quadric(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The roots of a t^2 + 2 b t + c in ascending order, and where they are real."""
    discriminant = b * b - a * c
    real = discriminant > 0
    root = discriminant.clamp(min=0).sqrt()
    safe = torch.where(a.abs() < 1e-9, torch.full_like(a, 1e-9), a)
    first, second = (-b - root) / safe, (-b + root) / safe
    return torch.minimum(first, second), torch.maximum(first, second), real


def _slab(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    safe = torch.where(d.abs() < 1e-9, torch.full_like(d, 1e-9), d)
    first, second = (-1 - o) / safe, (1 - o) / safe
    return torch.minimum(first, second), torch.maximum(first, second)


def _hit(near: Tensor, far: Tensor) -> Tensor:
    return (near < far) & (near > 1e-3)


def _revolution(o: Tensor, d: Tensor, near: Tensor, far: Tensor, inside: Tensor, slope: float) -> Hit:
    """Intersect a surface of revolution about z with the slab abs z <= 1, and compute the normal."""
    low, high = _slab(o[:, 2], d[:, 2])
    capped = low > near
    near, far = torch.maximum(near, low), torch.minimum(far, high)
    point = o + d * near.unsqueeze(1)
    ring = point[:, :2].norm(dim=1, keepdim=True).clamp(min=1e-6)
    side = torch.cat((point[:, :2] / ring, torch.full_like(ring, slope)), 1) / math.sqrt(1 + slope * slope)
    cap = torch.cat((torch.zeros_like(point[:, :2]), -d[:, 2:].sign()), 1)
    return near, inside & _hit(near, far), torch.where(capped.unsqueeze(1), cap, side)


prism = _polyhedron((0, 1, 0, 1), (0, -1, 0, 1), (0, 0, -1, 1), (1, 0, 0.5, 0.5), (-1, 0, 0.5, 0.5))
"""A triangle in x and z, apex at z = 1, base from x = -1 to 1 at z = -1, extruded along y."""

hull = _polyhedron(
    (0, 0, 1, 1),
    (0, 0, -1, 1),
    (0, 1, -0.3, 0.7),
    (0, -1, -0.3, 0.7),
    (-1, 0, -0.25, 0.75),
    (0.8, 0.6, -0.3, 0.5),
    (0.8, -0.6, -0.3, 0.5),
)
"""A boat's hull: a flat deck at z = 1, sides that lean out, a pointed bow at x = 1."""

SOLIDS: dict[str, Callable[[Tensor, Tensor], Hit]] = {
    "ball": ball,
    "cube": cube,
    "cylinder": cylinder,
    "cone": cone,
    "wheel": wheel,
    "prism": prism,
    "hull": hull,
}
