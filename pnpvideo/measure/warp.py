"""Warp error: does a result move as its source does?"""

from collections.abc import Sequence

import cv2
import numpy as np

from pnpvideo.miniature.world import Flow


def warp_error(frames: Sequence[np.ndarray], flows: Sequence[Flow]) -> float:
    """Mean over neighbours of the mean squared difference, in [0, 1]^2 units, between frame t and t + 1 warped to t.

    frames: n of (h, w, 3) uint8. flows: n - 1 exact flows from t to t + 1; only pixels that are visible in both count.
    Raises ValueError if there are fewer than two frames, or not one flow between each pair.
    """
    if len(frames) < 2 or len(flows) != len(frames) - 1:
        raise ValueError(f"{len(frames)} frames and {len(flows)} flows; there must be a flow between each two frames")
    errors = []
    for now, following, motion in zip(frames[:-1], frames[1:], flows, strict=True):
        flow = motion.flow.numpy()
        rows, columns = np.mgrid[: now.shape[0], : now.shape[1]].astype(np.float32)
        back = cv2.remap(following, columns + flow[0], rows + flow[1], cv2.INTER_LINEAR)
        difference = (back.astype(np.float32) - now) / 255
        visible = motion.visible.numpy()
        if visible.any():
            errors.append(float((difference**2).mean(2)[visible].mean()))
    return float(np.mean(errors))
