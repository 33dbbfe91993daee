"""Exact optical flow between two moments of a scene, with visibility."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pnpvideo.miniature.world.geometry import FAR, FIRST_THING, SKY, camera_frame, cast_rays, thing_pose, trace_gbuffer
from pnpvideo.miniature.world.scene import Scene


@dataclass(frozen=True)
class Flow:
    """flow: (2, size, size) pixels, x right and y down. visible: (size, size) bool, in both moments."""

    flow: Tensor
    visible: Tensor


def exact_flow(scene: Scene, start: float, end: float, size: int) -> Flow:
    """Flow of every pixel centre from time ``start`` to time ``end``, both in [0, 1].

    A pixel is visible if its surface point projects into the later picture and is not occluded there.
    """
    before, after = scene.at(start), scene.at(end)
    view = trace_gbuffer([before], size)
    position = view.position.clone()
    for slot, (old, new) in enumerate(zip(before.things, after.things, strict=True)):
        if old == new:
            continue
        pose = thing_pose([new], position)
        later = pose.rotation @ (view.local * pose.size) + pose.centre
        position = torch.where((view.ids == FIRST_THING + slot).unsqueeze(1), later, position)
    origin, basis, focal = camera_frame([after.camera])
    is_sky = (view.ids == SKY).unsqueeze(1)
    ray = torch.where(is_sky, view.directions, position - origin)
    in_camera = basis.mT @ ray
    ahead = in_camera[:, 2] > 1e-4
    screen = in_camera[:, :2] / in_camera[:, 2:3].clamp(min=1e-4) * focal
    x = (screen[:, 0] + 1) * size / 2 - 0.5
    y = (1 - screen[:, 1]) * size / 2 - 0.5
    distance = ray.norm(dim=1)
    hits = cast_rays(origin, ray / distance.unsqueeze(1), [after])
    same = torch.where(view.ids == SKY, hits.depth >= FAR, (hits.depth - distance).abs() < 2e-3 * distance)
    inside = (x >= 0) & (x <= size - 1) & (y >= 0) & (y <= size - 1)
    axis = torch.arange(size, dtype=torch.float32)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    flow = torch.stack((x.reshape(size, size) - columns, y.reshape(size, size) - rows))
    visible = (ahead & inside & same & (hits.ids == view.ids)).reshape(size, size)
    return Flow(flow, visible)
