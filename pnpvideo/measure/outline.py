"""Outline error: how far outlines lie from their true position, and how much of an object spills over them.

Each pixel near a true outline is classified as object or background by the truth's colours on either side; pixels where
both sides have similar colours are ignored.
"""

from collections.abc import Sequence

import cv2
import numpy as np

REACH, MARGIN = 10, 2
"""Pixels: the distance from an outline within which pixels are classified, and the blended ones next to it that the
spill ignores."""
CONTRAST = 24.0
"""Levels of 255, Euclidean over RGB: sides that differ less are ignored."""


def outline_error(
    frames: Sequence[np.ndarray], truth: Sequence[np.ndarray], masks: Sequence[np.ndarray]
) -> tuple[float, float]:
    """(mean distance in pixels, spill) over all frames; NaN if no outline is visible in the truth.

    Distance: number of misclassified pixels over the length of the outline. Spill: share of the pixels MARGIN to REACH
    outside the objects that are classified as object. frames, truth: (h, w, 3) uint8; masks: (h, w) bool, of objects.
    """
    wrong = length = spilt = around = 0.0
    for frame, true, mask in zip(frames, truth, masks, strict=True):
        if not mask.any() or mask.all():
            continue
        inside, outside = _distance(mask), _distance(~mask)
        of_object = np.where(mask[..., None], true, _nearest(true, inside > MARGIN)).astype(np.float32)
        behind = np.where(mask[..., None], _nearest(true, outside > MARGIN), true).astype(np.float32)
        apart = np.linalg.norm(of_object - behind, axis=2) >= CONTRAST
        near_object = np.linalg.norm(frame - of_object, axis=2) < np.linalg.norm(frame - behind, axis=2)
        band = (np.maximum(inside, outside) <= REACH) & apart
        edge = (inside > 0) & (inside < 1.5) & apart
        ring = band & (outside > MARGIN)
        wrong += float((near_object != mask)[band].sum())
        length += float(edge.sum())
        spilt += float(near_object[ring].sum())
        around += float(ring.sum())
    return wrong / length if length else float("nan"), spilt / around if around else float("nan")


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel of ``mask`` to the nearest pixel outside, in pixels; 0 elsewhere."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)


def _nearest(picture: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """For each pixel, the colour of the nearest ``allowed`` pixel; the picture itself if none is allowed."""
    if not allowed.any():
        return picture
    _, labels = cv2.distanceTransformWithLabels(
        (~allowed).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((labels.max() + 1, 3), picture.dtype)
    colours[labels[allowed]] = picture[allowed]
    nearest: np.ndarray = colours[labels]
    return nearest
