"""The video containers that are read: one table, and how a file's first bytes name one of its rows.

The pictures and animations have a table of their own, ``picture_formats``.
"""

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pnpvideo.video import picture_formats

HEAD_BYTES = 2048  # enough of a file's beginning for every row
_TS_PACKETS = 5  # whose first bytes must be in place
_MARKER = re.compile(rb"\xff+[^\x00\x01\xd0-\xd8\xff]")  # of a JPEG; what stands in pixels or has no length is none
_NEXT_PICTURE = re.compile(rb"[\0\xff]{0,4096}?\xff\xd8\xff")
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})


@dataclass(frozen=True, kw_only=True)
class Container:
    """One row of the table.

    name: as people call it. suffixes: usual extensions, in lower case, with the dot.
    starts: whether a file with these first HEAD_BYTES is one. demuxer: ffmpeg's name for it.
    kept: what reading keeps beside the pixels, for the documentation.
    """

    name: str
    suffixes: tuple[str, ...]
    starts: Callable[[bytes], bool]
    demuxer: str
    kept: str = "times, colour tags, sound"


def _any_of(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _is_mov(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _is_ts(head: bytes) -> bool:
    """Packets of 188 bytes that begin with "G"; of 192, behind four bytes of a time. A periodic magic: five packets
    in a row, or all of a shorter file. A file that was cut out of a broadcast may begin within a packet."""
    for first, size in ((0, 188), (4, 192)):
        for offset in range(first, first + size):
            marks = head[offset::size][:_TS_PACKETS]
            if set(marks) == {ord("G")} and (len(marks) == _TS_PACKETS or (offset == first and len(marks) > 1)):
                return True
    return False


CONTAINERS = (
    Container(
        name="MP4, MOV",
        suffixes=(".mp4", ".m4v", ".mov", ".qt", ".3gp"),
        starts=_is_mov,
        demuxer="mov",
        kept="times, colour tags, sound, alpha, rotation",
    ),
    Container(
        name="Matroska, WebM",
        suffixes=(".mkv", ".webm"),
        starts=_any_of(b"\x1a\x45\xdf\xa3"),
        demuxer="matroska",
        kept="times, colour tags, sound, alpha",
    ),
    Container(name="AVI", suffixes=(".avi",), starts=_is_avi, demuxer="avi"),
    Container(
        name="WMV, ASF",
        suffixes=(".wmv", ".asf"),
        starts=_any_of(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")),
        demuxer="asf",
    ),
    Container(name="FLV", suffixes=(".flv",), starts=_any_of(b"FLV\x01"), demuxer="flv"),
    Container(name="Ogg", suffixes=(".ogv", ".ogg"), starts=_any_of(b"OggS"), demuxer="ogg"),
    Container(name="MPEG-PS", suffixes=(".mpg", ".mpeg", ".vob"), starts=_any_of(b"\0\0\x01\xba"), demuxer="mpeg"),
    Container(
        name="MJPEG",
        suffixes=(".mjpeg", ".mjpg"),
        starts=lambda head: False,  # a JPEG's magic: what follows the first picture decides
        demuxer="mjpeg",
        kept="pictures; it has no times, so 25 a second are assumed",
    ),
    Container(name="MPEG-TS", suffixes=(".ts", ".mts", ".m2ts"), starts=_is_ts, demuxer="mpegts"),
)
SUFFIXES = frozenset(suffix for row in CONTAINERS for suffix in row.suffixes)
NAMES = ", ".join(row.name for row in CONTAINERS)


def demuxer_of(path: Path, head: bytes) -> str | None:
    """ffmpeg's name for the container of the file that begins with ``head``; None for what is no video. Exact magic,
    that of pictures too, comes before the periodic one of MPEG-TS."""
    form = picture_formats.of_head(head)
    if form is not None:
        return "mjpeg" if form.name == "JPEG" and is_jpeg_stream(path) else None
    return next((row.demuxer for row in CONTAINERS if row.starts(head)), None)


def is_heif(head: bytes) -> bool:
    """Whether these are the first bytes of a HEIF picture in HEVC, as telephones make them (HEIC)."""
    brands = {head[8:12], *(head[k : k + 4] for k in range(16, min(int.from_bytes(head[:4], "big"), len(head)), 4))}
    return head[4:8] == b"ftyp" and head[8:12] in (_HEIF | {b"mif1", b"msf1"}) and bool(brands & _HEIF)


def is_jpeg_stream(path: Path) -> bool:
    """Whether another picture follows the JPEG at the beginning of the file. Thumbnails inside of a picture do not
    count, nor do the further pictures that a camera or telephone announces in it (Multi-Picture Format)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = 2
        while (found := _MARKER.search(content, place)) is not None:
            marker, place = content[found.end() - 1], found.end()
            if marker == 0xD9:
                return _NEXT_PICTURE.match(content, place) is not None
            if content[place + 2 : place + 6] == b"MPF\0" and marker == 0xE2:
                return False
            place += int.from_bytes(content[place : place + 2], "big")
    return False
