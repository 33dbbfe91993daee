"""Pillow's modes to 8 bits a channel. Floats and 32-bit integers are scaled by a range of values."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from pnpvideo.video.pillow_reader import Remark

S_MIN_SAMPLE, S_MAX_SAMPLE, SAMPLE_FORMAT, BITS_PER_SAMPLE = 340, 341, 339, 258  # TIFF tags
OVERSHOOT = 0.1  # how far floats of 0 to 1 may lie outside: filters overshoot at edges
FAINT = 1 / 8  # of a usual range: a picture that stays below, but above the next smaller one, has a range of its own


@dataclass(frozen=True, kw_only=True)
class Range:
    """The values that become black and white. stated: the file says so; otherwise they were guessed from its values."""

    low: float
    high: float
    stated: bool = False

    def joined(self, other: "Range") -> "Range":
        """The range of both: frames of one clip share it."""
        return Range(low=min(self.low, other.low), high=max(self.high, other.high), stated=self.stated and other.stated)

    def __str__(self) -> str:
        return f"{self.low:g} (black) to {self.high:g} (white)"


def is_ranged(image: Image.Image) -> bool:
    """Whether the picture's values need a range: floats, and integers of more than 16 bits or with a sign."""
    return image.mode == "F" or (image.mode == "I" and image.format == "TIFF")


def value_range(image: Image.Image) -> Range:
    """By the file's SMinSampleValue and SMaxSampleValue, else by its values, which are decoded for that."""
    tags = getattr(image, "tag_v2", {})
    low, high = _number(tags.get(S_MIN_SAMPLE)), _number(tags.get(S_MAX_SAMPLE))
    if low is not None and high is not None and low < high:
        return Range(low=low, high=high, stated=True)
    values = _values(image)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    floats = image.mode == "F"
    if floats and low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return Range(low=0, high=1)
    if low >= 0 and (high <= 255 and (not floats or high > 255 * FAINT)):
        return Range(low=0, high=255)
    if low >= 0 and high <= 65535 and (not floats or high > 65535 * FAINT):
        return Range(low=0, high=65535)
    return Range(low=low, high=high if high > low else low + 1)


def pixels(image: Image.Image, alpha: bool, values: Range | None, remark: Remark) -> np.ndarray:
    """(h, w, 3) or (h, w, 4) uint8; of greys of 16 bits the upper 8 are kept. values: of a picture that needs one."""
    if image.mode[0] in "IF":
        numbers = _values(image)
        grey = _scaled(numbers, values, remark) if values else (numbers.astype(np.int64).clip(0, 65535) >> 8)
        grey = grey.astype(np.uint8)
        if not grey.any() and numbers.any():
            remark("it is read as all black, though its values are not all 0: they lie at the bottom of their range")
        image = Image.fromarray(grey)
    elif image.mode == "LAB":
        image = _lab_to_srgb().apply(image)
    elif image.mode == "La":
        image = image.convert("LA")
    return np.asarray(image.convert("RGBA" if alpha else "RGB"))


def _values(image: Image.Image) -> np.ndarray:
    """(h, w) integers or floats. Pillow keeps unsigned 32 bits in signed ones."""
    numbers = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "I" and tags.get(BITS_PER_SAMPLE) == (32,) and tags.get(SAMPLE_FORMAT, (1,))[0] == 1:
        numbers = numbers.view(np.uint32)
    return numbers


def _scaled(numbers: np.ndarray, values: Range, remark: Remark) -> np.ndarray:
    if numbers.dtype.kind in "iu" and (values.low, values.high) == (0, 65535):
        return numbers >> 8  # as other greys of 16 bits
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        remark("some of its values are no finite numbers; they are read as black, +inf as white")
    share = (numbers.astype(np.float64) - values.low) / (values.high - values.low)
    return np.rint(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1) * 255)


def _number(tag: object) -> float | None:
    value = tag[0] if isinstance(tag, tuple) and tag else tag
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
