"""Convert every Pillow mode to 8 bits per channel. Floats and 32-bit integers are scaled by a range of values."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from pnpvideo.video.pillow_reader import Warn

OVERSHOOT = 0.1
"""How far floats of 0 to 1 may lie outside of that range; filters overshoot at edges."""
FAINT = 1 / 8
"""Share of a usual range. A picture of floats that stays below it has a range of its own, unless a smaller one fits."""
_BITS_PER_SAMPLE, _SAMPLE_FORMAT, _S_MIN_SAMPLE, _S_MAX_SAMPLE = 258, 339, 340, 341  # TIFF tags


@dataclass(frozen=True, kw_only=True)
class ValueRange:
    """The values that become black and white."""

    low: float
    high: float
    stated: bool = False
    """Whether the file states them; otherwise they are guessed from its values."""

    def union(self, other: "ValueRange") -> "ValueRange":
        """The range of both. All frames of a clip share one range."""
        return ValueRange(
            low=min(self.low, other.low), high=max(self.high, other.high), stated=self.stated and other.stated
        )

    def __str__(self) -> str:
        return f"{self.low:g} (black) to {self.high:g} (white)"


def needs_range(image: Image.Image) -> bool:
    """Whether the picture's values need a range: floats, and integers of more than 16 bits or with a sign."""
    return image.mode == "F" or (image.mode == "I" and image.format == "TIFF")


def find_range(image: Image.Image) -> ValueRange:
    """The range by the TIFF tags SMinSampleValue and SMaxSampleValue, else by the decoded values."""
    tags = getattr(image, "tag_v2", {})
    low, high = _tag_number(tags.get(_S_MIN_SAMPLE)), _tag_number(tags.get(_S_MAX_SAMPLE))
    if low is not None and high is not None and low < high:
        return ValueRange(low=low, high=high, stated=True)
    values = _values(image)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    floats = image.mode == "F"
    if floats and low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return ValueRange(low=0, high=1)
    if low >= 0 and (high <= 255 and (not floats or high > 255 * FAINT)):
        return ValueRange(low=0, high=255)
    if low >= 0 and high <= 65535 and (not floats or high > 65535 * FAINT):
        return ValueRange(low=0, high=65535)
    return ValueRange(low=low, high=high if high > low else low + 1)


def to_8_bits(image: Image.Image, alpha: bool, values: ValueRange | None, warn: Warn) -> np.ndarray:
    """The picture as (h, w, 3) or, with ``alpha``, (h, w, 4) uint8. 16-bit greys keep their upper 8 bits.

    values: for a picture that ``needs_range``.
    """
    if image.mode[0] in "IF":
        numbers = _values(image)
        grey = _scale(numbers, values, warn) if values else (numbers.astype(np.int64).clip(0, 65535) >> 8)
        grey = grey.astype(np.uint8)
        if not grey.any() and numbers.any():
            warn("it is read as all black, though its values are not all 0: they lie at the bottom of their range")
        image = Image.fromarray(grey)
    elif image.mode == "LAB":
        image = _lab_to_srgb().apply(image)
    elif image.mode == "La":
        image = image.convert("LA")
    return np.asarray(image.convert("RGBA" if alpha else "RGB"))


def _values(image: Image.Image) -> np.ndarray:
    """(h, w) integers or floats. Pillow stores unsigned 32-bit values in signed ones."""
    numbers = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "I" and tags.get(_BITS_PER_SAMPLE) == (32,) and tags.get(_SAMPLE_FORMAT, (1,))[0] == 1:
        numbers = numbers.view(np.uint32)
    return numbers


def _scale(numbers: np.ndarray, values: ValueRange, warn: Warn) -> np.ndarray:
    """Scale (h, w) numbers to 0 to 255."""
    if numbers.dtype.kind in "iu" and (values.low, values.high) == (0, 65535):
        return numbers >> 8  # as other 16-bit greys
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        warn("some of its values are no finite numbers; they are read as black, +inf as white")
    share = (numbers.astype(np.float64) - values.low) / (values.high - values.low)
    grey: np.ndarray = np.rint(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1) * 255)
    return grey


def _tag_number(tag: object) -> float | None:
    value = tag[0] if isinstance(tag, tuple) and tag else tag
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
