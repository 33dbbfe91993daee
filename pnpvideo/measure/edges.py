"""Edge agreement: F1 of a picture's edges against the true outlines and creases of the objects."""

import cv2
import numpy as np

BAND, TOLERANCE = 10, 2  # pixels
STRONG, WEAK = 0.4, 0.2  # thresholds of Canny, as shares of the steepest gradients near the lines


def edge_agreement(picture: np.ndarray, lines: np.ndarray) -> float:
    """F1, in [0, 1], of the picture's edges near the true ``lines`` against these lines; NaN if there are no lines.

    picture: (h, w, 3) uint8; lines: (h, w) bool. An edge within TOLERANCE of a line counts as found. The threshold for
    edges is relative to the picture's own contrast near the lines, so that soft light is not penalised.
    """
    if not lines.any():
        return float("nan")
    band = within(lines, BAND)
    grey = cv2.cvtColor(cv2.GaussianBlur(picture, (5, 5), 0), cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_16S, *axes) for axes in ((1, 0), (0, 1)))
    steepest = float(np.percentile(np.hypot(across[band], down[band]), 99))
    if steepest < 4:  # about half a grey level: no visible edge
        return 0.0
    found = (cv2.Canny(across, down, WEAK * steepest, STRONG * steepest, L2gradient=True) > 0) & band
    if not found.any():
        return 0.0
    precision = float(within(lines, TOLERANCE)[found].mean())
    recall = float(within(found, TOLERANCE)[lines].mean())
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def within(points: np.ndarray, reach: float) -> np.ndarray:
    """Pixels at most ``reach`` pixels away from one of ``points``, (h, w) bool."""
    distance = cv2.distanceTransform((~points).astype(np.uint8), cv2.DIST_L2, 5)
    return distance <= reach
