"""DPX and EXR, as studios exchange frames: described by their headers, decoded by ffmpeg."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.scratch import scratch_folder
from pnpvideo.video import ffmpeg
from pnpvideo.video.clip import MAX_PIXELS
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.picture_formats import PictureFormat
from pnpvideo.video.pillow_reader import Remark

DECODE_SECONDS = 60.0  # after which ffmpeg is taken for hung
_HEADER_BYTES = 2**20
_ROWS = 256  # converted at once: floats take four times the memory of the result
_DPX_ALPHA = (51, 52)  # RGBA, ABGR
_DPX_TRANSFERS = {1: "logarithmic (printing density)", 2: "linear", 3: "logarithmic"}


@dataclass(frozen=True, kw_only=True)
class FilmScan:
    """One picture. remarks: how reading it departs from what the file holds."""

    path: Path
    demuxer: str
    width: int
    height: int
    alpha: bool
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, path: Path, form: PictureFormat) -> "FilmScan":
        """Reads the header. DecodeError: damaged. InputError: too many pixels, deep pixels."""
        named = printable(str(path))
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
            try:
                width, height, alpha, remarks = _dpx(head) if form.name == "DPX" else _exr(file, head, named)
            except (struct.error, IndexError, KeyError, ValueError) as error:
                raise DecodeError(f"{named} is damaged: its {form.name} header cannot be read") from error
        if width < 1 or height < 1:
            raise DecodeError(f"{named} is damaged: its size is {width}x{height}")
        if width * height > MAX_PIXELS:
            raise InputError(f"{named} is {width}x{height}; accepted are up to {MAX_PIXELS} pixels")
        return cls(path=path, demuxer=form.demuxer, width=width, height=height, alpha=alpha, remarks=remarks)

    def pixels(self, alpha: bool, remark: Remark) -> np.ndarray:
        """(h, w, 3) or (h, w, 4) uint8, alpha straight. DecodeError: damaged, or not what the header says."""
        for text in self.remarks:
            remark(text)
        with scratch_folder() as folder:
            raw = self._decoded(folder / "raw")
            shape = (self.height, self.width)
            if self.demuxer == "dpx_pipe":
                colours = np.fromfile(raw, np.uint8).reshape(*shape, -1)
            else:
                planes = np.memmap(raw, "<f4", mode="r").reshape(-1, *shape)
                blocks = (planes[:, row : row + _ROWS] for row in range(0, self.height, _ROWS))
                colours = np.concatenate([_display(block, remark) for block in blocks])
                del planes
        if alpha and not self.alpha:
            return np.dstack([colours, np.full(shape, 255, np.uint8)])
        return colours if alpha else colours[..., :3]

    def _decoded(self, raw: Path) -> Path:
        layouts = {"dpx_pipe": ("rgb24", "rgba"), "exr_pipe": ("gbrpf32le", "gbrapf32le")}[self.demuxer]
        scale = "scale=flags=bicubic+accurate_rnd+full_chroma_int:sws_dither=none"
        arguments = [
            *("-v", "error", "-xerror", "-err_detect", "explode"),
            *ffmpeg.input_arguments(self.path, self.demuxer),
            *("-map", "0:v:0", "-frames:v", "1", "-vf", f"{scale},format={layouts[self.alpha]}"),
            *("-c:v", "rawvideo", "-f", "rawvideo", ffmpeg.file_url(raw)),
        ]
        status, said = ffmpeg.run(arguments, DECODE_SECONDS)
        named = printable(str(self.path))
        if status is None:
            raise DecodeError(f"{named}: decoding hangs; stopped after {DECODE_SECONDS:g} s")
        size = self.width * self.height * (4 if self.alpha else 3) * (1 if self.demuxer == "dpx_pipe" else 4)
        if status != 0 or said or not raw.exists() or raw.stat().st_size != size:
            raise DecodeError(f"{named} is damaged and cannot be read: {ffmpeg.last_words(said)}")
        return raw


def _display(planes: np.ndarray, remark: Remark) -> np.ndarray:
    """Linear light (3 or 4, h, w), green, blue, red, alpha, multiplied by alpha -> (h, w, 3 or 4) uint8 in sRGB."""
    planes = np.array(planes, np.float32)
    if not np.isfinite(planes).all():
        remark("some of its values are no finite numbers; they are read as black, +inf as white")
        planes = np.nan_to_num(planes, copy=False, nan=0.0, posinf=np.finfo(np.float32).max, neginf=0.0)
    light = planes[[2, 0, 1]].clip(0)
    if len(planes) == 4:
        cover = planes[3].clip(0, 1)
        light /= np.where(cover > 0, cover, 1)
    light = light.clip(0, 1)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    channels = [*shown, planes[3].clip(0, 1)] if len(planes) == 4 else [*shown]
    return np.rint(np.stack(channels, axis=-1) * 255).astype(np.uint8)


def _dpx(head: bytes) -> tuple[int, int, bool, tuple[str, ...]]:
    """Size, alpha and remarks, by SMPTE 268M's fixed offsets."""
    order = ">" if head[:4] == b"SDPX" else "<"
    orientation, _, width, height = struct.unpack_from(f"{order}HHII", head, 768)
    remarks = []
    if transfer := _DPX_TRANSFERS.get(head[801]):
        remarks.append(f"its values are {transfer}; they are shown as they are: convert them where that looks wrong")
    if orientation not in (0, 0xFFFF):
        remarks.append("its header says that it is turned or mirrored; it is read as it is stored")
    return width, height, head[800] in _DPX_ALPHA, tuple(remarks)


def _exr(file: IO[bytes], head: bytes, named: str) -> tuple[int, int, bool, tuple[str, ...]]:
    """Size of the display window, alpha and remarks, by the first part's attributes."""
    (flags,) = struct.unpack_from("<I", head, 4)
    if flags & 0x800:
        raise InputError(f"{named} is an EXR of deep pixels; accepted are flat ones: flatten it")
    attributes, table = _attributes(head)
    if not flags & 0x1000 and attributes["lineOrder"] == b"\0" and not _whole(file, head, table, bool(flags & 0x200)):
        raise DecodeError(f"{named} is cut short: rows of the EXR are missing")
    left, top, right, bottom = struct.unpack("<4i", attributes["displayWindow"])
    channels = set(_channels(attributes["channels"]))
    remarks = ["its linear light is shown with sRGB's curve; what is brighter than 1 becomes white"]
    if flags & 0x1000:
        remarks.append("it has several parts; the first one is read")
    if more := sorted(channels - {"R", "G", "B", "A", "Y", "RY", "BY"}):
        remarks.append(
            f"it has other channels ({', '.join(more[:4])}{', ...' if more[4:] else ''}), which are left out"
        )
    if attributes.get("dataWindow") != attributes["displayWindow"]:
        remarks.append("its pixels do not fill its display window; the rest is black")
    return right - left + 1, bottom - top + 1, "A" in channels, tuple(remarks)


def _whole(file: IO[bytes], head: bytes, table: int, tiled: bool) -> bool:
    """Whether every block of rows or tile is there, by the table of offsets: ffmpeg says nothing of missing ones."""
    (first,) = struct.unpack_from("<Q", head, table)
    offsets = struct.unpack_from(f"<{(first - table) // 8}Q", head, table)
    place = max(offsets) + (16 if tiled else 4)  # a tile's coordinates, or a row's number, stand before the size
    end = file.seek(0, 2)
    file.seek(min(place, end))
    size = file.read(4)
    return min(offsets) > 0 and len(size) == 4 and place + 4 + int.from_bytes(size, "little") <= end


def _attributes(head: bytes) -> tuple[dict[str, bytes], int]:
    """The header's attributes, and the place after them."""
    found, place = {}, 8
    while head[place]:
        name, place = _text(head, place)
        _, place = _text(head, place)
        (size,) = struct.unpack_from("<i", head, place)
        if size < 0:
            raise ValueError("negative size")
        found[name] = head[place + 4 : place + 4 + size]
        place += 4 + size
    return found, place + 1


def _channels(body: bytes) -> Iterator[str]:
    place = 0
    while body[place]:
        name, place = _text(body, place)
        yield name
        place += 16


def _text(content: bytes, place: int) -> tuple[str, int]:
    end = content.index(b"\0", place)
    return content[place:end].decode("latin-1"), end + 1
