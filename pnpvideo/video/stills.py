"""Read still pictures: upright, 8 bits per channel, with their alpha."""

import contextlib
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PpmImagePlugin import PpmImageFile

from pnpvideo.errors import InputError, printable
from pnpvideo.video import avif, bit_depth, gif, picture_formats
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.dpx_exr import StudioPicture
from pnpvideo.video.picture_formats import PictureFormat
from pnpvideo.video.pillow_reader import FileWarnings, Warn, open_image, pillow_errors

STILL_FPS = Fraction(25)
"""The one frame of a still lasts as long as ffmpeg lets it last."""
_EXIF_ORIENTATION = 0x0112
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HAVE_PAGES = ("TIFF", "PNG", "WEBP", "AVIF")


@dataclass(frozen=True, kw_only=True)
class Still:
    """A picture of which only the header was read."""

    path: Path
    info: ClipInfo
    form: PictureFormat
    file_warnings: FileWarnings
    transpose: Image.Transpose | None = None
    """Turns Pillow's pixels upright; None: they are."""
    values: bit_depth.ValueRange | None = None
    """The range of floats and 32-bit integers; None for all other pictures."""
    text: dict[str, str] = dataclasses.field(default_factory=dict)
    """The file's text fields."""
    studio: StudioPicture | None = None
    """The picture's header, if ffmpeg reads it instead of Pillow (DPX, EXR)."""

    @classmethod
    def open(cls, path: Path, form: PictureFormat, file_warnings: FileWarnings) -> "Still":
        """Read the header, and the values of a picture that needs a range.

        Raises InputError for several pages and for too many pixels, DecodeError for a damaged file.
        """
        if form.demuxer:
            studio = StudioPicture.open(path, form)
            info = _still_info(path, studio.width, studio.height, studio.alpha)
            return cls(path=path, info=info, form=form, file_warnings=file_warnings, studio=studio)
        if form.reader == "GIF":
            return cls(path=path, info=_gif_info(path, file_warnings), form=form, file_warnings=file_warnings)
        warn = file_warnings.about(path)
        if form.reader == "AVIF":
            avif.warn_of_hdr(path, warn)
        with _open_image(path, form, warn) as (image, warn_later):
            _check_pages(image, path, warn_later)
            _check_netpbm(image, path)
            orientation = _orientation(image, warn_later)
            if image.format == "TIFF":
                orientation = 1  # Pillow turns it by itself, and its size with it
            size = image.size if orientation < 5 else image.size[::-1]
            profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") else None
            return cls(
                path=path,
                info=dataclasses.replace(_still_info(path, *size, has_alpha(image)), icc_profile=profile),
                form=form,
                file_warnings=file_warnings,
                transpose=_TO_UPRIGHT.get(orientation),
                values=bit_depth.find_range(image) if bit_depth.needs_range(image) else None,
                text={str(key): value for key, value in image.info.items() if isinstance(value, str)},
            )

    def edges(self, stop: int | None = None, stop_seconds: Fraction | None = None) -> list[Fraction]:
        """The frame begins at 0 and ends after one period of STILL_FPS. See ``Source.edges``."""
        return [Fraction(0), 1 / STILL_FPS]

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """The picture as the only frame, at 0 seconds."""
        yield Frame(0, Fraction(0), self.pixels(self.info.alpha))

    def pixels(self, alpha: bool) -> np.ndarray:
        """Decode the picture: (h, w, 3) or, with ``alpha``, (h, w, 4) uint8. Raises DecodeError if it is damaged."""
        warn, name = self.file_warnings.about(self.path), printable(str(self.path))
        if self.studio is not None:
            return self.studio.pixels(alpha, warn)
        if self.form.reader == "GIF":
            canvas = next(gif.parse(self.path.read_bytes(), name).canvases(name, warn))
            return canvas if alpha else np.ascontiguousarray(canvas[..., :3])
        if self.values is not None:
            source = "its file says" if self.values.stated else "assumed from its values"
            warn(f"its values are read from {self.values}, the range {source}")
        with _open_image(self.path, self.form, warn) as (image, warn_later):
            if self.form.reader == "TGA":
                _drop_empty_alpha(image, self.path, warn_later)
            upright = image if self.transpose is None else image.transpose(self.transpose)
            return bit_depth.to_8_bits(upright, alpha, self.values, warn_later)


def has_alpha(image: Image.Image) -> bool:
    """Whether a Pillow image has an alpha channel or a transparent colour."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _still_info(path: Path, width: int, height: int, alpha: bool) -> ClipInfo:
    return ClipInfo(path=path, kind="still", width=width, height=height, frames=1, variable_rate=False, alpha=alpha)


def _gif_info(path: Path, file_warnings: FileWarnings) -> ClipInfo:
    picture = gif.parse(path.read_bytes(), printable(str(path)))
    if not picture.has_trailer:
        file_warnings.about(path)(gif.NO_TRAILER)
    alpha = picture.frames[0].transparent_index is not None or not picture.first_covers_canvas
    return _still_info(path, *picture.size, alpha)


@contextmanager
def _open_image(path: Path, form: PictureFormat, warn: Warn) -> Iterator[tuple[Image.Image, Warn]]:
    """The file as a Pillow image, and a function that takes warnings while it is open."""
    name = printable(str(path))
    with pillow_errors(name, warn) as warn_later, open_image(path, form.reader, name) as image:
        yield image, warn_later


def _check_pages(image: Image.Image, path: Path, warn: Warn) -> None:
    """Raise InputError for several pages; warn of further pictures in formats where only the first one is meant."""
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format in _HAVE_PAGES:
        raise InputError(f"{printable(str(path))} has {pages} pages; save the one to be read as its own file")
    if pages > 1:
        warn(f"it holds {pages} pictures; the first one is read")


def _orientation(image: Image.Image, warn: Warn) -> int:
    """EXIF orientation, 1 to 8, by the header alone: Pillow would decode a whole PNG to look for EXIF at its end."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    stated: object = "?"
    with contextlib.suppress(Exception):  # damaged EXIF makes Pillow raise nearly everything; the picture may be fine
        stated = image.getexif().get(_EXIF_ORIENTATION, 1)
    if isinstance(stated, int | float) and stated in range(1, 9):
        return int(stated)
    warn("its EXIF orientation is damaged; the picture is read as upright")
    return 1


def _drop_empty_alpha(image: Image.Image, path: Path, warn: Warn) -> None:
    """Make a TGA opaque whose fourth channel is all zero and, by its header, no alpha, as old programs write it."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        with path.open("rb") as file:
            alpha_bits = file.read(18)[17] & 15
        if alpha_bits == 0:
            image.putalpha(255)
            warn("its fourth channel is empty and, as its header says, no alpha; it is read as opaque")


def _check_netpbm(image: Image.Image, path: Path) -> None:
    """Raise InputError if another picture follows in the file, as netpbm allows; Pillow reads the first one only."""
    if not isinstance(image, PpmImageFile) or not image.tile or image.tile[0].codec_name != "raw":
        return
    bits = {"1": 1, "L": 8, "RGB": 24, "CMYK": 32, "I": 16, "F": 32}.get(image.mode, 0)
    with path.open("rb") as file:
        file.seek(image.tile[0].offset + (image.width * bits + 7) // 8 * image.height)
        if picture_formats.of_head(file.read(8)) is not None:
            raise InputError(f"{printable(str(path))} holds several pictures; save each as its own file")
