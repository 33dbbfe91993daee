"""Between the display size of a clip and the working size of a model."""

from collections.abc import Iterable

import cv2
import numpy as np

MATTE = 255  # transparent parts are shown to the model over white


def working_size(width: int, height: int, short: int, multiple: int) -> tuple[int, int]:
    """(width, height): the short side is ``short`` pixels, the aspect is kept, both are multiples of ``multiple``."""
    scale = short / min(width, height) / multiple
    return max(1, round(width * scale)) * multiple, max(1, round(height * scale)) * multiple


def to_working(pixels: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Frames (h, w, 3 or 4) uint8 of any size -> (f, height, width, 3) uint8 at ``size`` = (width, height)."""
    return np.stack([resize(opaque(frame), size) for frame in pixels])


def to_display(
    picture: np.ndarray, source: np.ndarray | None, size: tuple[int, int], mask: np.ndarray | None = None
) -> np.ndarray:
    """A result (h, w, 3) uint8 at the display ``size`` = (width, height), with ``source``'s alpha if it has one.

    mask: (h', w') float in [0, 1]; where it is 0, the result is ``source`` to the bit.
    """
    picture = resize(picture, size)
    if mask is not None and source is not None:
        share = np.clip(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), 0, 1)[..., None]
        kept = source[..., :3].astype(np.float32)
        picture = np.rint(kept + share * (picture - kept)).astype(np.uint8)
    if source is not None and source.shape[2] == 4:
        picture = np.dstack([picture, source[..., 3]])
    return picture


def resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Area averaging downwards, Lanczos upwards; untouched where the size is right."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    smaller = size[0] * size[1] < width * height
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4)


def grey(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3 or 4) uint8 -> (h, w) uint8, by luma; what is transparent counts as black."""
    luma = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY)
    return luma if pixels.shape[2] == 3 else np.rint(luma * (pixels[..., 3] / 255.0)).astype(np.uint8)


def opaque(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3 or 4) uint8 -> (h, w, 3): what is transparent is shown over white."""
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.float32) / 255
    return np.rint(pixels[..., :3] * alpha + MATTE * (1 - alpha)).astype(np.uint8)
