"""Flicker: how much pixels change from frame to frame where the ground truth stands still."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np


def still_pixels(frames: Sequence[np.ndarray], motions: Sequence, reach: float = 0.05) -> np.ndarray:
    """Mask (h, w) bool of pixels that stand still: moved by less than ``reach`` pixels between frames, and equal within
    3 of 255 levels in all ``frames`` of the ground truth, so that no shadow passes over them."""
    still = np.ones(frames[0].shape[:2], bool)
    for motion in motions:
        still &= motion.visible & (np.hypot(*motion.flow) < reach)
    spread = np.ptp(np.stack(frames), axis=0).max(2)
    return still & (spread <= 3)


def flicker(frames: Sequence[np.ndarray], still: np.ndarray) -> float:
    """Mean absolute change from frame to frame of the ``still`` pixels, in levels of 255; NaN if there are none."""
    if not still.any() or len(frames) < 2:
        return float("nan")
    changes = [
        np.abs(later.astype(np.int16) - earlier.astype(np.int16))[still].mean() for earlier, later in pairwise(frames)
    ]
    return float(np.mean(changes))
