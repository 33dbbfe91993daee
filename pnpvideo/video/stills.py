"""Still pictures, read by Pillow: upright, 8 bits a channel, alpha kept."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.video.clip import MAX_PIXELS, ClipInfo, Frame
from pnpvideo.video.ffmpeg import printable

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
SUFFIXES = frozenset({".png", ".apng", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"})
STILL_FPS = Fraction(25)  # the one frame of a still lasts as long as ffmpeg lets it last
ORIENTATION = 0x0112  # the EXIF field; 5 to 8 lie on their side

# What Pillow raises on damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The file as a Pillow image, its header read. InputError beyond MAX_PIXELS; DecodeError where damaged."""
    named = printable(str(path))
    Image.init()  # Pillow opens no format by name before its readers are loaded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is stricter
            image = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise InputError(f"{named}: accepted are pictures of up to {MAX_PIXELS} pixels: {error}") from error
    except DAMAGE as error:
        raise DecodeError(f"{named} cannot be read as a picture: {printable(str(error))}") from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise InputError(f"{named} is {image.width}x{image.height}; accepted are up to {MAX_PIXELS} pixels")
        yield image


def _orientation(image: Image.Image) -> int:
    """By the header alone; Pillow would decode a whole PNG to look for EXIF at its end."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(ORIENTATION, 1))


def has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def pixels(image: Image.Image, alpha: bool) -> np.ndarray:
    """(h, w, 3) or (h, w, 4) uint8; of greys of 16 bits the upper 8 are kept."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
    return np.asarray(image.convert("RGBA" if alpha else "RGB"))


@dataclass(frozen=True, kw_only=True)
class Still:
    path: Path
    info: ClipInfo

    @classmethod
    def of(cls, path: Path) -> "Still":
        """Reads the header. InputError: several pages, or too many pixels."""
        with opened(path) as image:
            pages = getattr(image, "n_frames", 1)
            if image.format in ("TIFF", "GIF", "PNG", "WEBP") and pages > 1:
                raise InputError(f"{printable(str(path))} has {pages} pages; save the one to be read as its own file")
            # Pillow turns a TIFF by itself, and its size with it.
            sideways = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)
            info = ClipInfo(
                path=path,
                kind="still",
                width=image.height if sideways else image.width,
                height=image.width if sideways else image.height,
                frames=1,
                variable_rate=False,
                alpha=has_alpha(image),
                icc_profile=image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") else None,
            )
        return cls(path=path, info=info)

    def edges(self, stop: int | None = None) -> list[Fraction]:
        return [Fraction(0), 1 / STILL_FPS]

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        yield Frame(0, Fraction(0), self.pixels(self.info.alpha))

    def pixels(self, alpha: bool) -> np.ndarray:
        with opened(self.path) as image:
            try:
                return pixels(image if _orientation(image) == 1 else ImageOps.exif_transpose(image), alpha)
            except DAMAGE as error:
                raise DecodeError(f"{printable(str(self.path))}: the picture is damaged: {error}") from error
