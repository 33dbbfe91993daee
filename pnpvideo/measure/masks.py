"""Mask agreement: whether colours alone separate an object from its surroundings, at its true outline."""

import cv2
import numpy as np

from pnpvideo.measure.edges import within

SURROUNDINGS, MARGIN = 14, 3  # pixels
CELLS = 24  # of a histogram, along each axis of Lab


def mask_agreement(picture: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union, in [0, 1], of ``mask`` and the object as a classifier by colour finds it.

    The colours well inside the mask and well outside it (each a histogram in Lab) classify every pixel of the
    object and of a band around it. An object in another place, of another shape or too faint is misclassified.
    picture: (h, w, 3) uint8; mask: (h, w) bool.
    """
    if not mask.any() or mask.all():
        return float("nan")
    inside, outside = ~within(~mask, MARGIN), ~within(mask, MARGIN)
    near = within(mask, SURROUNDINGS)
    outside &= near
    if inside.sum() < 30 or outside.sum() < 30:
        return float("nan")
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    learnt = (
        np.indices(mask.shape).sum(0) % 2 == 0
    )  # train on every other pixel, in a chessboard pattern, and test on the rest
    asked = near & ~learnt
    told = _likelihood(lab[inside & learnt], lab[asked]) > _likelihood(lab[outside & learnt], lab[asked])
    true = mask[asked]
    return float((told & true).sum() / (told | true).sum())


def _likelihood(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Log of a smoothed histogram of the ``known`` colours (n, 3) in Lab, at the ``asked`` ones (m, 3)."""
    counts, _ = np.histogramdd(known, bins=CELLS, range=[(0, 256)] * 3)
    for axis in range(3):
        counts = 0.5 * counts + 0.25 * (np.roll(counts, 1, axis) + np.roll(counts, -1, axis))
    index = np.minimum((asked * CELLS / 256).astype(int), CELLS - 1)
    return np.log(counts[index[:, 0], index[:, 1], index[:, 2]] / len(known) + 1e-6)
