"""Places that tokens copy from, as colours and as a warped grid, and how far they agree with optical flow."""

from collections.abc import Sequence

import cv2
import numpy as np

LINES = 8
"""Lines of the drawn grid along the short side."""
TORN = 3.0
"""Tokens between the places that two neighbours copy, from which the grid counts as torn."""


def own_places(height: int, width: int) -> np.ndarray:
    """(height, width, 2): the row and column of each cell."""
    rows, columns = np.mgrid[:height, :width]
    places: np.ndarray = np.stack((rows, columns), 2)
    return places


def agreement(sources: np.ndarray, motions: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float]:
    """(agree, moving, moving_agree) of places (frames, h, w, 2) and optical flow, see FlowMap and FlowMaps."""
    height, width = sources.shape[1:3]
    own = own_places(height, width)
    near, moves = [], []
    for copied, (motion, visible) in list(zip(sources, motions, strict=True))[1:-1]:
        cell = np.array([motion.shape[1] / height, motion.shape[2] / width])
        rows, columns = (((own[..., axis] + 0.5) * cell[axis]).astype(int) for axis in (0, 1))
        target = own + motion[::-1, rows, columns].transpose(1, 2, 0) / cell
        known = visible[rows, columns]
        near.append((np.abs(copied - target).max(2) <= 1)[known])
        moves.append((np.abs(own - target).max(2) > 1)[known])
    agrees, moving = np.concatenate(near), np.concatenate(moves)
    return _mean(agrees), _mean(moving), _mean(agrees[moving])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def wheel(sources: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Colours (h, w, 3) uint8 of places (h, w, 2) in a keyframe: hue is the direction from its centre, saturation the
    distance."""
    centred = (sources + 0.5) / np.array(grid) * 2 - 1
    hue = (np.degrees(np.arctan2(centred[..., 0], centred[..., 1])) % 360 / 2).astype(np.uint8) % 180
    saturation = np.clip(np.hypot(centred[..., 0], centred[..., 1]) / 1.2, 0, 1)
    hsv = np.dstack([hue, np.rint(255 * saturation).astype(np.uint8), np.full_like(hue, 245)])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def flow_wheel(motion: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) uint8 of the places to which optical flow (2, h, w) leads; grey where it is not ``visible``."""
    height, width = visible.shape
    colours = wheel(own_places(height, width) + motion[::-1].transpose(1, 2, 0), (height, width))
    colours[~visible] = (128, 128, 128)
    return colours


def with_grid(picture: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Draw the keyframe's grid over a picture (h, w, 3) uint8, carried along by the places (h', w', 2) it copies.

    Where neighbouring tokens copy from places that lie TORN tokens apart or more, there is no grid, but violet.
    """
    height, width = picture.shape[:2]
    step = min(sources.shape[:2]) / LINES
    places = cv2.resize(sources.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    down, right = np.zeros_like(places), np.zeros_like(places)
    down[1:], right[:, 1:] = np.diff(places, axis=0), np.diff(places, axis=1)
    cell = height / sources.shape[0], width / sources.shape[1]  # pixels of a token
    torn = np.maximum(np.abs(down).max(2) * cell[0], np.abs(right).max(2) * cell[1]) >= TORN
    cells = np.floor((places + 0.5) / step)
    lines: np.ndarray = np.zeros((height, width), np.uint8)
    lines[:, 1:] |= cells[:, 1:, 1] != cells[:, :-1, 1]
    lines[1:] |= cells[1:, :, 0] != cells[:-1, :, 0]
    drawn = np.rint(picture * 0.6 + 255 * 0.4).astype(np.uint8)
    drawn[cv2.dilate(lines, np.ones((2, 2), np.uint8)).astype(bool)] = (20, 20, 20)
    drawn[torn] = (150, 30, 170)
    return drawn
