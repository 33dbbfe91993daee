"""Edge agreement: are the outlines of the objects where the world has them?"""

import cv2
import numpy as np

BAND, TOLERANCE = 10, 2  # pixels


def edge_agreement(picture: np.ndarray, mask: np.ndarray) -> float:
    """F1, in [0, 1], of the picture's edges in a band around the outline of ``mask`` against that outline.

    picture: (h, w, 3) uint8; mask: (h, w) bool, the object. An edge within TOLERANCE of the outline agrees with it.
    """
    inside = mask.astype(np.uint8)
    outline = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    edges = cv2.Canny(cv2.GaussianBlur(picture, (5, 5), 0), 40, 100) > 0
    band = _within(outline, BAND)
    found = edges & band
    if not found.any() or not outline.any():
        return 0.0
    precision = float(_within(outline, TOLERANCE)[found].mean())
    recall = float(_within(found, TOLERANCE)[outline].mean())
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def _within(points: np.ndarray, reach: int) -> np.ndarray:
    """Pixels at most ``reach`` away from one of ``points``."""
    away = cv2.distanceTransform((~points).astype(np.uint8), cv2.DIST_L2, 5)
    return away <= reach
