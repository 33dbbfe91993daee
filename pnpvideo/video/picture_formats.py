"""The picture and animation formats that can be read: one table, and how a file's first bytes select a row of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pnpvideo.errors import InputError, printable

MAX_WHOLE_BYTES = 2**29
"""Size of a file in a format that is read into memory as a whole."""
HEAD_BYTES = 400
"""Bytes at a file's beginning that every row needs at most."""
_READ_WHOLE = ("GIF", "WEBP", "AVIF")


@dataclass(frozen=True, kw_only=True)
class PictureFormat:
    """One row of the table."""

    name: str
    """As people call it."""
    suffixes: tuple[str, ...]
    """Usual extensions, in lower case, with the dot."""
    starts: Callable[[bytes], bool]
    """Whether a file with these first bytes has this format; by exact magic only."""
    reader: str = ""
    """Pillow's name for the format; empty if ffmpeg reads it."""
    demuxer: str = ""
    """ffmpeg's name for the format, if ffmpeg reads it."""
    animated: bool = False
    """Whether a file may hold an animation."""
    preserved: str = ""
    """What reading preserves beside the pixels, for the documentation."""


def _any_of(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_bmp(head: bytes) -> bool:
    """Checks the size of the header too, which has few values: "BM" alone is too common."""
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)


def _is_avif(head: bytes) -> bool:
    """By AVIF's brands: the main one or, if that is one of HEIF's own, among the compatible ones."""
    if head[4:8] != b"ftyp":
        return False
    size = int.from_bytes(head[:4], "big")
    brands = {head[place : place + 4] for place in range(16, min(size, len(head)), 4)}
    main = head[8:12]
    return main in (b"avif", b"avis") or (main in (b"mif1", b"msf1", b"miaf") and bool(brands & {b"avif", b"avis"}))


def _is_netpbm(head: bytes) -> bool:
    return head[:1] == b"P" and head[1:2] in b"123456f" and head[2:3].isspace()


def _is_targa(head: bytes) -> bool:
    """Whether the first 18 bytes can be the header of a TGA, which has no magic."""
    if len(head) < 18 or head[1] > 1 or head[2] not in (1, 2, 3, 9, 10, 11) or head[16] not in (8, 15, 16, 24, 32):
        return False
    mapped = head[2] in (1, 9)
    return mapped == (head[1] == 1) and head[12:14] != b"\0\0" and head[14:16] != b"\0\0"


TARGA = PictureFormat(
    name="TGA", suffixes=(".tga",), starts=lambda head: False, reader="TGA", preserved="alpha, the corner it begins at"
)
_TARGA_END = b"TRUEVISION-XFILE.\0"

PICTURE_FORMATS = (
    PictureFormat(
        name="PNG",
        suffixes=(".png", ".apng"),
        starts=_any_of(b"\x89PNG\r\n\x1a\n"),
        reader="PNG",
        animated=True,
        preserved="alpha, colour profile, orientation; of animations delays, loop and alpha; of 16 bits the upper 8",
    ),
    PictureFormat(
        name="JPEG",
        suffixes=(".jpg", ".jpeg"),
        starts=_any_of(b"\xff\xd8\xff"),
        reader="JPEG",
        preserved="colour profile, orientation",
    ),
    PictureFormat(
        name="GIF",
        suffixes=(".gif",),
        starts=_any_of(b"GIF87a", b"GIF89a"),
        reader="GIF",
        animated=True,
        preserved="delays, loop, transparency",
    ),
    PictureFormat(
        name="WebP",
        suffixes=(".webp",),
        starts=_is_webp,
        reader="WEBP",
        animated=True,
        preserved="alpha, colour profile, orientation; of animations delays, loop and alpha",
    ),
    PictureFormat(
        name="AVIF",
        suffixes=(".avif", ".avifs"),
        starts=_is_avif,
        reader="AVIF",
        animated=True,
        preserved="alpha, colour profile, orientation; of animations delays and alpha; of 10 and 12 bits the upper 8",
    ),
    PictureFormat(name="BMP", suffixes=(".bmp",), starts=_is_bmp, reader="BMP", preserved="alpha"),
    PictureFormat(
        name="TIFF",
        suffixes=(".tif", ".tiff"),
        starts=_any_of(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        reader="TIFF",
        preserved="alpha, colour profile, orientation; of 16 bits the upper 8; floats and 32 bits by their range",
    ),
    TARGA,
    PictureFormat(
        name="PPM",
        suffixes=(".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
        starts=_is_netpbm,
        reader="PPM",
        preserved="of 16 bits the upper 8; floats by their range",
    ),
    PictureFormat(
        name="JPEG 2000",
        suffixes=(".jp2", ".j2k", ".jpx", ".j2c"),
        starts=_any_of(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        reader="JPEG2000",
        preserved="alpha; of 16 bits the upper 8",
    ),
    PictureFormat(name="QOI", suffixes=(".qoi",), starts=_any_of(b"qoif"), reader="QOI", preserved="alpha"),
    PictureFormat(
        name="DPX",
        suffixes=(".dpx",),
        starts=_any_of(b"SDPX", b"XPDS"),
        demuxer="dpx_pipe",
        preserved="alpha; code values as they are, logarithmic ones too",
    ),
    PictureFormat(
        name="EXR",
        suffixes=(".exr",),
        starts=_any_of(b"\x76\x2f\x31\x01"),
        demuxer="exr_pipe",
        preserved="alpha; linear light becomes sRGB, what is brighter than 1 is white",
    ),
)
SUFFIXES = frozenset(suffix for form in PICTURE_FORMATS for suffix in form.suffixes)
"""All extensions of the table."""
NAMES = ", ".join(form.name for form in PICTURE_FORMATS)
"""All names of the table, for messages."""


def of_head(head: bytes) -> PictureFormat | None:
    """The format of a file with these first HEAD_BYTES, by exact magic; None for any other file, and for a TGA."""
    return next((form for form in PICTURE_FORMATS if form.starts(head)), None)


def of_file(path: Path) -> PictureFormat | None:
    """The format of a file; None for an unknown one.

    A TGA has no magic: its header must be possible, and its footer or its extension must say that it is one.
    Raises OSError if the file cannot be opened, InputError beyond MAX_WHOLE_BYTES if the format is read as a whole.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        form = of_head(head)
        if form is not None and form.reader in _READ_WHOLE and file.seek(0, 2) > MAX_WHOLE_BYTES:
            raise InputError(f"{printable(str(path))}: accepted are {form.name}s of up to {MAX_WHOLE_BYTES} bytes")
        if form is not None or not _is_targa(head):
            return form
        file.seek(max(0, file.seek(0, 2) - len(_TARGA_END)))
        return TARGA if path.suffix.lower() in TARGA.suffixes or file.read() == _TARGA_END else None


def describe_unknown(path: Path) -> str:
    """The error message for a file of an unknown format."""
    return f"{printable(str(path))} is no picture that is known; accepted are {NAMES}"
