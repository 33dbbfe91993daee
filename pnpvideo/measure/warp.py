"""Warp error: does a result move as its source does?"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pnpvideo.measure.motion import Motion


def warp_error(frames: Sequence[np.ndarray], motions: Sequence[Motion]) -> float:
    """Mean over neighbours of the mean squared difference, in [0, 1]^2 units, between frame t and t + 1 warped to t.

    frames: n of (h, w, 3) uint8. motions: n - 1 of the source, from t to t + 1; only pixels visible in both count.
    A pair that shares no pixel is left out; without any pair the error is not a number.
    Raises ValueError if there are fewer than two frames, or not one motion between each pair.
    """
    if len(frames) < 2 or len(motions) != len(frames) - 1:
        raise ValueError(f"{len(frames)} frames and {len(motions)} motions; one motion is needed between each two")
    errors = [
        difference(earlier, later, motion)
        for (earlier, later), motion in zip(pairwise(frames), motions, strict=True)
        if motion.visible.any()
    ]
    return float(np.mean(errors)) if errors else float("nan")


def difference(earlier: np.ndarray, later: np.ndarray, motion: Motion) -> float:
    """Mean squared difference, in [0, 1]^2 units, of two frames where both show the same."""
    off = (motion.undo(later) - earlier) / 255
    return float(np.square(off).mean(2)[motion.visible].mean())
