"""Still pictures: upright, 8 bits a channel, alpha kept."""

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

from pnpvideo.errors import InputError
from pnpvideo.video import avif, depth, gif, picture_formats
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.film_scan import FilmScan
from pnpvideo.video.picture_formats import PictureFormat
from pnpvideo.video.pillow_reader import Remark, Remarks, border, load

STILL_FPS = Fraction(25)  # the one frame of a still lasts as long as ffmpeg lets it last
ORIENTATION = 0x0112  # the EXIF field
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PAGED = ("TIFF", "PNG", "WEBP", "AVIF")


@dataclass(frozen=True, kw_only=True)
class Still:
    """One picture, its header read.

    turn: how Pillow's pixels become upright. values: the range of floats and 32-bit integers, None of other pictures.
    text: what the file says in text fields. scan: where ffmpeg reads the picture.
    """

    path: Path
    info: ClipInfo
    form: PictureFormat
    remarks: Remarks
    turn: Image.Transpose | None = None
    values: depth.Range | None = None
    text: dict[str, str] = dataclasses.field(default_factory=dict)
    scan: FilmScan | None = None

    @classmethod
    def of(cls, path: Path, form: PictureFormat, remarks: Remarks) -> "Still":
        """Reads the header, and the values of a picture that has its own range. InputError: several pages, or too
        many pixels. DecodeError: damaged."""
        remark = remarks.about(path)
        if form.demuxer:
            scan = FilmScan.of(path, form)
            info = _info(path, scan.width, scan.height, scan.alpha)
            return cls(path=path, info=info, form=form, remarks=remarks, scan=scan)
        if form.reader == "GIF":
            picture = gif.parse(path.read_bytes(), printable(str(path)))
            alpha = picture.frames[0].transparent is not None or not picture.covered
            if not picture.ended:
                remark(gif.NO_TRAILER)
            return cls(path=path, info=_info(path, *picture.size, alpha), form=form, remarks=remarks)
        if form.reader == "AVIF":
            avif.remark_hdr(path, remark)
        with _opened(path, form, remark) as (image, put):
            pages = getattr(image, "n_frames", 1)
            if pages > 1 and image.format in _PAGED:
                raise InputError(f"{printable(str(path))} has {pages} pages; save the one to be read as its own file")
            if pages > 1:
                put(f"it holds {pages} pictures; the first one is read")
            _check_netpbm(image, path)
            orientation = _orientation(image, put)
            if image.format == "TIFF":
                orientation = 1  # Pillow turns it by itself, and its size with it
            turn = _UPRIGHT.get(orientation)
            size = image.size if orientation < 5 else image.size[::-1]
            profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") else None
            text = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
            info = dataclasses.replace(_info(path, *size, has_alpha(image)), icc_profile=profile)
            values = depth.value_range(image) if depth.is_ranged(image) else None
        return cls(path=path, info=info, form=form, remarks=remarks, turn=turn, values=values, text=text)

    def edges(self, stop: int | None = None) -> list[Fraction]:
        return [Fraction(0), 1 / STILL_FPS]

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        yield Frame(0, Fraction(0), self.pixels(self.info.alpha))

    def pixels(self, alpha: bool) -> np.ndarray:
        """(h, w, 3) or (h, w, 4) uint8. DecodeError: damaged."""
        remark, named = self.remarks.about(self.path), printable(str(self.path))
        if self.scan is not None:
            return self.scan.pixels(alpha, remark)
        if self.form.reader == "GIF":
            content = self.path.read_bytes()
            canvas = next(gif.parse(content, named).canvases(named, remark))
            return canvas if alpha else np.ascontiguousarray(canvas[..., :3])
        if self.values is not None:
            source = "its file says" if self.values.stated else "assumed from its values"
            remark(f"its values are read from {self.values}, the range {source}")
        with _opened(self.path, self.form, remark) as (image, put):
            if self.form.reader == "TGA":
                _uncover(image, self.path, put)
            upright = image if self.turn is None else image.transpose(self.turn)
            return depth.pixels(upright, alpha, self.values, put)


def has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _info(path: Path, width: int, height: int, alpha: bool) -> ClipInfo:
    return ClipInfo(path=path, kind="still", width=width, height=height, frames=1, variable_rate=False, alpha=alpha)


@contextmanager
def _opened(path: Path, form: PictureFormat, remark: Remark) -> Iterator[tuple[Image.Image, Remark]]:
    """The file as a Pillow image, and where to put remarks while it is open."""
    named = printable(str(path))
    with border(named, remark) as put, load(path, form.reader, named) as image:
        yield image, put


def _orientation(image: Image.Image, remark: Remark) -> int:
    """1 to 8, by the header alone: Pillow would decode a whole PNG to look for EXIF at its end."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    stated: object = "?"
    with contextlib.suppress(Exception):  # of damaged EXIF Pillow raises nearly everything; the picture may be sound
        stated = image.getexif().get(ORIENTATION, 1)
    if isinstance(stated, int | float) and stated in range(1, 9):
        return int(stated)
    remark("its EXIF orientation is damaged; the picture is read as upright")
    return 1


def _uncover(image: Image.Image, path: Path, remark: Remark) -> None:
    """Makes a TGA opaque that has a fourth channel of zeros and says that it is no alpha, as old programs write it."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        with path.open("rb") as file:
            stated = file.read(18)[17] & 15
        if stated == 0:
            image.putalpha(255)
            remark("its fourth channel is empty and, as its header says, no alpha; it is read as opaque")


def _check_netpbm(image: Image.Image, path: Path) -> None:
    """InputError where another picture follows, as netpbm allows; Pillow reads the first."""
    if not isinstance(image, PpmImageFile) or not image.tile or image.tile[0].codec_name != "raw":
        return
    bits = {"1": 1, "L": 8, "RGB": 24, "CMYK": 32, "I": 16, "F": 32}.get(image.mode, 0)
    with path.open("rb") as file:
        file.seek(image.tile[0].offset + (image.width * bits + 7) // 8 * image.height)
        if picture_formats.of_head(file.read(8)) is not None:
            raise InputError(f"{printable(str(path))} holds several pictures; save each as its own file")
