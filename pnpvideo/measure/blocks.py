"""The worst block: what a mean over the whole picture hides, such as a bright spot that should not be there."""

from collections.abc import Sequence

import cv2
import numpy as np

BLOCK = 16  # pixels


def worst_block(frames: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    """Largest difference of mean colour among blocks of BLOCK x BLOCK pixels, mean over frames, in levels of 255.

    frames, truth: (h, w, 3) uint8. The difference of a block is the mean over its channels of that of its means.
    """
    found = []
    for frame, true in zip(frames, truth, strict=True):
        difference = frame.astype(np.float32) - true
        size = tuple(max(1, side // BLOCK) for side in (frame.shape[1], frame.shape[0]))
        found.append(float(np.abs(cv2.resize(difference, size, interpolation=cv2.INTER_AREA)).mean(2).max()))
    return float(np.mean(found))
