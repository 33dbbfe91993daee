"""Mask agreement: how well colour alone separates an object from its surroundings at its true outline."""

import cv2
import numpy as np

from pnpvideo.measure.edges import within

SURROUNDINGS, MARGIN = 14, 3  # pixels
CELLS = 24  # of a histogram, along each axis of Lab


def mask_agreement(picture: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union, in [0, 1], of ``mask`` and the mask that a colour classifier finds; NaN if too small.

    Histograms in Lab of the colours well inside and well outside the mask classify every pixel of the object and of a
    band around it. An object in another place, of another shape or too faint is misclassified.
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
    training = np.indices(mask.shape).sum(0) % 2 == 0  # every other pixel, in a chessboard pattern
    test = near & ~training
    found = _likelihood(lab[inside & training], lab[test]) > _likelihood(lab[outside & training], lab[test])
    true = mask[test]
    return float((found & true).sum() / (found | true).sum())


def _likelihood(samples: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Log of a smoothed histogram of ``samples`` (n, 3) in Lab, evaluated at ``colours`` (m, 3): (m,)."""
    counts, _ = np.histogramdd(samples, bins=CELLS, range=[(0, 256)] * 3)
    for axis in range(3):
        counts = 0.5 * counts + 0.25 * (np.roll(counts, 1, axis) + np.roll(counts, -1, axis))
    index = np.minimum((colours * CELLS / 256).astype(int), CELLS - 1)
    likelihood: np.ndarray = np.log(counts[index[:, 0], index[:, 1], index[:, 2]] / len(samples) + 1e-6)
    return likelihood
