"""Sharpness: the mean gradient and the mean Laplacian of a picture, over those of the truth.

They fall when a smooth picture loses its fine detail, which PSNR hardly notices. 1 is as sharp as the truth, less is
blurred, more is oversharpened or noisy.
"""

from collections.abc import Callable, Sequence

import numpy as np


def gradient(picture: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean absolute difference of neighbours along rows and columns, in levels of 255.

    picture: (h, w, 3) uint8. mask: (h, w) bool, the pixels to use; None: all. NaN if there are none.
    """
    levels = picture.astype(np.float32)
    down, right = np.abs(np.diff(levels, axis=0)), np.abs(np.diff(levels, axis=1))
    if mask is None:
        return float((down.mean() + right.mean()) / 2)
    down, right = down[mask[1:] & mask[:-1]], right[mask[:, 1:] & mask[:, :-1]]
    return float((down.mean() + right.mean()) / 2) if down.size and right.size else float("nan")


def laplacian(picture: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean absolute difference of a pixel from its four neighbours' mean, in levels of 255; see ``gradient``."""
    levels = picture.astype(np.float32)
    around = levels[2:, 1:-1] + levels[:-2, 1:-1] + levels[1:-1, 2:] + levels[1:-1, :-2]
    found = np.abs(levels[1:-1, 1:-1] - around / 4)
    if mask is not None:
        inner = mask[1:-1, 1:-1] & mask[2:, 1:-1] & mask[:-2, 1:-1] & mask[1:-1, 2:] & mask[1:-1, :-2]
        found = found[inner]
    return float(found.mean()) if found.size else float("nan")


def sharpness(
    result: Sequence[np.ndarray], truth: Sequence[np.ndarray], masks: Sequence[np.ndarray | None] | None = None
) -> tuple[float, float]:
    """(gradient, Laplacian) of ``result`` over those of ``truth``, summed over the frames where both are defined."""
    masks = [None] * len(truth) if masks is None else masks

    def ratio(measure: Callable[[np.ndarray, np.ndarray | None], float]) -> float:
        pairs = [(measure(a, m), measure(b, m)) for a, b, m in zip(result, truth, masks, strict=True)]
        known = np.array([pair for pair in pairs if not np.isnan(pair).any()])
        return float(known[:, 0].sum() / known[:, 1].sum()) if known.size and known[:, 1].sum() else float("nan")

    return ratio(gradient), ratio(laplacian)
