"""Operations on pictures as arrays: sizes, alpha, luma, and a measure of likeness."""

from collections.abc import Iterable

import cv2
import numpy as np


def working_size(width: int, height: int, short: int, multiple: int) -> tuple[int, int]:
    """(width, height) in pixels at which the model works on a clip of this display size.

    The short side is ``short`` pixels, the aspect ratio is kept, and both sides are multiples of ``multiple``.
    """
    scale = short / min(width, height) / multiple
    return max(1, round(width * scale)) * multiple, max(1, round(height * scale)) * multiple


def to_working(pixels: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Frames (h, w, 3 or 4) uint8 of any size -> (f, height, width, 3) uint8 at ``size`` = (width, height).

    Transparent parts are shown to the model over white.
    """
    return np.stack([resize(composite_over_white(frame), size) for frame in pixels])


def to_display(
    picture: np.ndarray, source: np.ndarray | None, size: tuple[int, int], mask: np.ndarray | None = None
) -> np.ndarray:
    """Bring a result (h, w, 3) uint8 to the display ``size`` = (width, height), with the alpha of ``source``, if any.

    source: the frame that was translated, (height, width, 3 or 4) uint8.
    mask: (h', w') float in [0, 1]; where it is 0, the result equals ``source`` bit for bit.
    """
    picture = resize(picture, size)
    if mask is not None and source is not None:
        share = np.clip(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), 0, 1)[..., None]
        before = source[..., :3].astype(np.float32)
        picture = np.rint(before + share * (picture - before)).astype(np.uint8)
    if source is not None and source.shape[2] == 4:
        picture = np.dstack([picture, source[..., 3]])
    return picture


def resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to ``size`` = (width, height): area averaging downwards, Lanczos upwards.

    A picture of that size is returned unchanged.
    """
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    smaller = size[0] * size[1] < width * height
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4)


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Luma of (h, w, 3 or 4) uint8 as (h, w) uint8; transparent parts count as black."""
    luma = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY)
    return luma if pixels.shape[2] == 3 else np.rint(luma * (pixels[..., 3] / 255.0)).astype(np.uint8)


def composite_over_white(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3 or 4) uint8 with straight alpha -> (h, w, 3) uint8; pictures without alpha are returned unchanged."""
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = pixels[..., :3] * alpha + np.uint16(255) * (255 - alpha)
    opaque: np.ndarray = (mixed + 127) // 255
    return opaque.astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 arrays of the same shape; infinity if they are equal."""
    error = float(np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
