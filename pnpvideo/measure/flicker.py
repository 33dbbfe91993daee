"""Flicker: does what stands still stay as it is?"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np


def still_pixels(frames: Sequence[np.ndarray], motions: Sequence, reach: float = 0.05) -> np.ndarray:
    """(h, w) bool: pixels that the motions leave within ``reach`` pixels of their place in every frame, and which
    look the same in all ``frames`` of the ground truth, within 3 levels of 255 (no shadow passes over them)."""
    still = np.ones(frames[0].shape[:2], bool)
    for motion in motions:
        still &= motion.visible & (np.hypot(*motion.flow) < reach)
    spread = np.ptp(np.stack(frames), axis=0).max(2)
    return still & (spread <= 3)


def flicker(frames: Sequence[np.ndarray], still: np.ndarray) -> float:
    """Mean absolute change from frame to frame of the ``still`` pixels, in levels of 255; NaN where none is still."""
    if not still.any() or len(frames) < 2:
        return float("nan")
    changes = [
        np.abs(later.astype(np.int16) - earlier.astype(np.int16))[still].mean() for earlier, later in pairwise(frames)
    ]
    return float(np.mean(changes))
