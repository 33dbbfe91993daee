"""Motion between two frames: exact, from the procedural world, or estimated by optical flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from pnpvideo.miniature.world import Scene, exact_flow


@dataclass(frozen=True)
class Motion:
    """Motion from one frame to another. flow: (2, h, w) float32 pixels, x right and y down. visible: (h, w) bool, the
    pixels that are visible in both frames."""

    flow: np.ndarray
    visible: np.ndarray

    def undo(self, later: np.ndarray) -> np.ndarray:
        """Warp the later frame (h, w, 3) to the earlier one; float32."""
        rows, columns = np.mgrid[: later.shape[0], : later.shape[1]].astype(np.float32)
        return cv2.remap(
            later.astype(np.float32),
            columns + self.flow[0],
            rows + self.flow[1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )


def exact_motion(scene: Scene, start: float, end: float, size: int) -> Motion:
    """Exact motion of a scene from time ``start`` to ``end``, both in [0, 1]."""
    found = exact_flow(scene, start, end, size)
    return Motion(found.flow.numpy(), found.visible.numpy())


def estimated_motion(earlier: np.ndarray, later: np.ndarray) -> Motion:
    """Motion between two frames (h, w, 3) uint8 by DIS optical flow (arXiv 1603.03590), see ``visible_pixels``."""
    forward, backward = _dis(earlier, later), _dis(later, earlier)
    return Motion(forward, visible_pixels(forward, backward))


def visible_pixels(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Where two estimated flows (2, h, w), to the later frame and back, agree on a pixel of the earlier one: (h, w).

    Not where they do not cancel, |f + b|^2 > 0.01 (|f|^2 + |b|^2) + 0.5 square pixels with b at the place that f leads
    to, nor at motion boundaries, |grad u|^2 + |grad v|^2 > 0.01 |f|^2 + 0.002, as in published warp errors (Sundaram
    and others, 2010, section 4; arXiv 1604.08610), nor outside the frame. Slopes are central differences.
    """
    height, width = forward.shape[1:]
    returned = Motion(forward, np.ones((height, width), bool)).undo(np.moveaxis(backward, 0, 2))
    back = np.moveaxis(returned, 2, 0)
    lost = _square(forward + back) > 0.01 * (_square(forward) + _square(back)) + 0.5
    slopes = sum(np.square(slope) for part in forward for slope in np.gradient(part))
    border = slopes > 0.01 * _square(forward) + 0.002
    rows, columns = np.mgrid[:height, :width]
    x, y = columns + forward[0], rows + forward[1]
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    visible: np.ndarray = inside & ~lost & ~border
    return visible


def estimated_motions(frames: Sequence[np.ndarray]) -> list[Motion]:
    """Estimated motion from each frame to the next."""
    return [estimated_motion(earlier, later) for earlier, later in pairwise(frames)]


def _dis(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    one, other = (cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in (earlier, later))
    start = np.zeros((*one.shape, 2), np.float32)
    return np.moveaxis(np.asarray(method.calc(one, other, start)), 2, 0)


def _square(flow: np.ndarray) -> np.ndarray:
    """Squared length of each pixel's motion."""
    square: np.ndarray = np.square(flow).sum(0)
    return square
