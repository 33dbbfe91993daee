"""Read DPX and EXR, in which studios exchange frames: described by their headers here, decoded by ffmpeg."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from pnpvideo.errors import DecodeError, InputError, printable
from pnpvideo.scratch import scratch_folder
from pnpvideo.video import ffmpeg
from pnpvideo.video.clip import MAX_PIXELS
from pnpvideo.video.picture_formats import PictureFormat
from pnpvideo.video.pillow_reader import Warn

DECODE_SECONDS = 60.0
"""Time limit for ffmpeg to decode one picture."""
_HEADER_BYTES = 2**20
_ROWS_AT_ONCE = 256  # floats take four times the memory of the result
_DPX_ALPHA = (51, 52)  # RGBA, ABGR
_DPX_TRANSFERS = {1: "logarithmic (printing density)", 2: "linear", 3: "logarithmic"}
_EXR_TILED, _EXR_DEEP, _EXR_PARTS = 0x200, 0x800, 0x1000  # flags


@dataclass(frozen=True, kw_only=True)
class _Header:
    width: int
    height: int
    alpha: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StudioPicture:
    """A DPX or EXR of which only the header was read."""

    path: Path
    demuxer: str
    """ffmpeg's name for the format."""
    width: int
    """In pixels, of the display window."""
    height: int
    alpha: bool
    warnings: tuple[str, ...]
    """How the pixels that are read differ from what the file holds."""

    @classmethod
    def open(cls, path: Path, form: PictureFormat) -> "StudioPicture":
        """Read the header. Raises DecodeError if it is damaged; InputError for too many pixels and for deep pixels."""
        name = printable(str(path))
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
            try:
                header = _read_dpx(head) if form.name == "DPX" else _read_exr(file, head, name)
            except (struct.error, IndexError, KeyError, ValueError) as error:
                raise DecodeError(f"{name} is damaged: its {form.name} header cannot be read") from error
        width, height = header.width, header.height
        if width < 1 or height < 1:
            raise DecodeError(f"{name} is damaged: its size is {width}x{height}")
        if width * height > MAX_PIXELS:
            raise InputError(f"{name} is {width}x{height}; accepted are up to {MAX_PIXELS} pixels")
        return cls(
            path=path, demuxer=form.demuxer, width=width, height=height, alpha=header.alpha, warnings=header.warnings
        )

    def pixels(self, alpha: bool, warn: Warn) -> np.ndarray:
        """Decode: (h, w, 3) or, with ``alpha``, (h, w, 4) uint8, alpha straight.

        Raises DecodeError if the file is damaged, or not what its header says.
        """
        for text in self.warnings:
            warn(text)
        with scratch_folder() as folder:
            raw = self._decode(folder / "raw")
            shape = (self.height, self.width)
            if self.demuxer == "dpx_pipe":
                colours = np.fromfile(raw, np.uint8).reshape(*shape, -1)
            else:
                planes = np.memmap(raw, "<f4", mode="r").reshape(-1, *shape)
                blocks = (planes[:, row : row + _ROWS_AT_ONCE] for row in range(0, self.height, _ROWS_AT_ONCE))
                colours = np.concatenate([_linear_to_srgb(block, warn) for block in blocks])
                del planes
        if alpha and not self.alpha:
            return np.dstack([colours, np.full(shape, 255, np.uint8)])
        return colours if alpha else colours[..., :3]

    def _decode(self, raw: Path) -> Path:
        """Let ffmpeg write the raw pixels to a file: bytes of a DPX, planes of floats of an EXR."""
        layouts = {"dpx_pipe": ("rgb24", "rgba"), "exr_pipe": ("gbrpf32le", "gbrapf32le")}[self.demuxer]
        scale = "scale=flags=bicubic+accurate_rnd+full_chroma_int:sws_dither=none"
        arguments = [
            *("-v", "error", "-xerror", "-err_detect", "explode"),
            *ffmpeg.input_arguments(self.path, self.demuxer),
            *("-map", "0:v:0", "-frames:v", "1", "-vf", f"{scale},format={layouts[self.alpha]}"),
            *("-c:v", "rawvideo", "-f", "rawvideo", ffmpeg.file_url(raw)),
        ]
        status, log = ffmpeg.run(arguments, DECODE_SECONDS)
        name = printable(str(self.path))
        if status is None:
            raise DecodeError(f"{name}: decoding hangs; stopped after {DECODE_SECONDS:g} s")
        size = self.width * self.height * (4 if self.alpha else 3) * (1 if self.demuxer == "dpx_pipe" else 4)
        if status != 0 or log or not raw.exists() or raw.stat().st_size != size:
            raise DecodeError(f"{name} is damaged and cannot be read: {ffmpeg.summarise_errors(log)}")
        return raw


def _linear_to_srgb(planes: np.ndarray, warn: Warn) -> np.ndarray:
    """Linear light to (h, w, 3 or 4) uint8 with sRGB's curve (IEC 61966-2-1).

    planes: (3 or 4, h, w) floats: green, blue, red, alpha; the colours are multiplied by alpha.
    """
    planes = np.array(planes, np.float32)
    if not np.isfinite(planes).all():
        warn("some of its values are no finite numbers; they are read as black, +inf as white")
        planes = np.nan_to_num(planes, copy=False, nan=0.0, posinf=np.finfo(np.float32).max, neginf=0.0)
    light = planes[[2, 0, 1]].clip(0)
    if len(planes) == 4:
        cover = planes[3].clip(0, 1)
        light /= np.where(cover > 0, cover, 1)
    light = light.clip(0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    channels = [*curve, planes[3].clip(0, 1)] if len(planes) == 4 else [*curve]
    levels: np.ndarray = np.rint(np.stack(channels, axis=-1) * 255)
    return levels.astype(np.uint8)


def _read_dpx(head: bytes) -> _Header:
    """By the fixed offsets of SMPTE 268M."""
    order = ">" if head[:4] == b"SDPX" else "<"
    orientation, _, width, height = struct.unpack_from(f"{order}HHII", head, 768)
    warnings = []
    if transfer := _DPX_TRANSFERS.get(head[801]):
        warnings.append(f"its values are {transfer}; they are shown as they are: convert them where that looks wrong")
    if orientation not in (0, 0xFFFF):
        warnings.append("its header says that it is turned or mirrored; it is read as it is stored")
    return _Header(width=width, height=height, alpha=head[800] in _DPX_ALPHA, warnings=tuple(warnings))


def _read_exr(file: IO[bytes], head: bytes, name: str) -> _Header:
    """By the attributes of the first part."""
    (flags,) = struct.unpack_from("<I", head, 4)
    if flags & _EXR_DEEP:
        raise InputError(f"{name} is an EXR of deep pixels; accepted are flat ones: flatten it")
    attributes, table = _exr_attributes(head)
    one_part_top_down = not flags & _EXR_PARTS and attributes["lineOrder"] == b"\0"
    if one_part_top_down and not _exr_is_whole(file, head, table, bool(flags & _EXR_TILED)):
        raise DecodeError(f"{name} is cut short: rows of the EXR are missing")
    left, top, right, bottom = struct.unpack("<4i", attributes["displayWindow"])
    channels = set(_exr_channels(attributes["channels"]))
    warnings = ["its linear light is shown with sRGB's curve; what is brighter than 1 becomes white"]
    if flags & _EXR_PARTS:
        warnings.append("it has several parts; the first one is read")
    if more := sorted(channels - {"R", "G", "B", "A", "Y", "RY", "BY"}):
        warnings.append(
            f"it has other channels ({', '.join(more[:4])}{', ...' if more[4:] else ''}), which are left out"
        )
    if attributes.get("dataWindow") != attributes["displayWindow"]:
        warnings.append("its pixels do not fill its display window; the rest is black")
    return _Header(width=right - left + 1, height=bottom - top + 1, alpha="A" in channels, warnings=tuple(warnings))


def _exr_is_whole(file: IO[bytes], head: bytes, table: int, tiled: bool) -> bool:
    """Whether the file has every block of rows, or tile, by the table of offsets: ffmpeg ignores missing ones."""
    (first,) = struct.unpack_from("<Q", head, table)
    offsets = struct.unpack_from(f"<{(first - table) // 8}Q", head, table)
    place = max(offsets) + (16 if tiled else 4)  # a tile's coordinates, or a row's number, precede the size
    end = file.seek(0, 2)
    file.seek(min(place, end))
    size = file.read(4)
    return min(offsets) > 0 and len(size) == 4 and place + 4 + int.from_bytes(size, "little") <= end


def _exr_attributes(head: bytes) -> tuple[dict[str, bytes], int]:
    """The header's attributes by name, and the place after them."""
    found, place = {}, 8
    while head[place]:
        name, place = _exr_text(head, place)
        _, place = _exr_text(head, place)
        (size,) = struct.unpack_from("<i", head, place)
        if size < 0:
            raise ValueError("negative size")
        found[name] = head[place + 4 : place + 4 + size]
        place += 4 + size
    return found, place + 1


def _exr_channels(body: bytes) -> Iterator[str]:
    place = 0
    while body[place]:
        name, place = _exr_text(body, place)
        yield name
        place += 16


def _exr_text(content: bytes, place: int) -> tuple[str, int]:
    """A text that ends in a zero byte, and the place after it."""
    end = content.index(b"\0", place)
    return content[place:end].decode("latin-1"), end + 1
