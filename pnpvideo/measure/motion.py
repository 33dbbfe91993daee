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
    """Motion between two frames (h, w, 3) uint8 by DIS optical flow (arXiv 1603.03590).

    Pixels are not visible where forward and backward flow do not cancel, |f + b| > 0.01 (|f| + |b|) + 0.5 pixels, and
    at motion boundaries, |grad u|^2 + |grad v|^2 > 0.01 |f| + 0.002, as in published warp errors.
    """
    forward, backward = _dis(earlier, later), _dis(later, earlier)
    returned = Motion(forward, np.ones(earlier.shape[:2], bool)).undo(np.moveaxis(backward, 0, 2))
    back = np.moveaxis(returned, 2, 0)
    lost = _length(forward + back) > 0.01 * (_length(forward) + _length(back)) + 0.5
    slopes = sum(np.square(slope) for part in forward for slope in np.gradient(part))
    border = slopes > 0.01 * _length(forward) + 0.002
    rows, columns = np.mgrid[: earlier.shape[0], : earlier.shape[1]]
    x, y = columns + forward[0], rows + forward[1]
    inside = (x >= 0) & (y >= 0) & (x <= earlier.shape[1] - 1) & (y <= earlier.shape[0] - 1)
    return Motion(forward, inside & ~lost & ~border)


def estimated_motions(frames: Sequence[np.ndarray]) -> list[Motion]:
    """Estimated motion from each frame to the next."""
    return [estimated_motion(earlier, later) for earlier, later in pairwise(frames)]


def _dis(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    one, other = (cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in (earlier, later))
    start = np.zeros((*one.shape, 2), np.float32)
    return np.moveaxis(np.asarray(method.calc(one, other, start)), 2, 0)


def _length(flow: np.ndarray) -> np.ndarray:
    length: np.ndarray = np.hypot(flow[0], flow[1])
    return length
