"""The video containers that can be read: one table, and how a file's first bytes select a row of it.

Pictures and animations have a table of their own, ``picture_formats``.
"""

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pnpvideo.video import picture_formats

HEAD_BYTES = 2048
"""Bytes at a file's beginning that every row needs at most."""
_TS_PACKETS = 5  # whose first bytes must be in place
_JPEG_MARKER = re.compile(rb"\xff+[^\x00\x01\xd0-\xd8\xff]")  # without those that stand in pixels or have no length
_NEXT_JPEG = re.compile(rb"[\0\xff]{0,4096}?\xff\xd8\xff")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})


@dataclass(frozen=True, kw_only=True)
class Container:
    """One row of the table."""

    name: str
    """As people call it."""
    suffixes: tuple[str, ...]
    """Usual extensions, in lower case, with the dot."""
    starts: Callable[[bytes], bool]
    """Whether a file with these first HEAD_BYTES has this container."""
    demuxer: str
    """ffmpeg's name for the container."""


def _any_of(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _is_mov(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _is_ts(head: bytes) -> bool:
    """By a periodic magic: packets of 188 bytes that begin with "G", or of 192 bytes with a time before the "G".

    Five packets in a row must match, or all packets of a shorter file. A file that was cut out of a broadcast may begin
    within a packet.
    """
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
    ),
    Container(
        name="Matroska, WebM",
        suffixes=(".mkv", ".webm"),
        starts=_any_of(b"\x1a\x45\xdf\xa3"),
        demuxer="matroska",
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
    ),
    Container(name="MPEG-TS", suffixes=(".ts", ".mts", ".m2ts"), starts=_is_ts, demuxer="mpegts"),
)
SUFFIXES = frozenset(suffix for row in CONTAINERS for suffix in row.suffixes)
"""All extensions of the table."""
NAMES = ", ".join(row.name for row in CONTAINERS)
"""All names of the table, for messages."""


def demuxer_of(path: Path, head: bytes) -> str | None:
    """ffmpeg's name for the container of the file that begins with ``head``; None for a file that is no video.

    Exact magic, also that of pictures, comes before the periodic magic of MPEG-TS.
    """
    form = picture_formats.of_head(head)
    if form is not None:
        return "mjpeg" if form.name == "JPEG" and is_jpeg_stream(path) else None
    return next((row.demuxer for row in CONTAINERS if row.starts(head)), None)


def is_heif(head: bytes) -> bool:
    """Whether these are the first bytes of a HEIF picture in HEVC (HEIC), as phones make them."""
    brands = {head[8:12], *(head[k : k + 4] for k in range(16, min(int.from_bytes(head[:4], "big"), len(head)), 4))}
    return head[4:8] == b"ftyp" and head[8:12] in (_HEIF_BRANDS | {b"mif1", b"msf1"}) and bool(brands & _HEIF_BRANDS)


def is_jpeg_stream(path: Path) -> bool:
    """Whether another picture follows the JPEG at the beginning of the file.

    Thumbnails inside of a picture do not count, nor do further pictures that it announces (Multi-Picture Format).
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = 2
        while (found := _JPEG_MARKER.search(content, place)) is not None:
            marker, place = content[found.end() - 1], found.end()
            if marker == 0xD9:
                return _NEXT_JPEG.match(content, place) is not None
            if content[place + 2 : place + 6] == b"MPF\0" and marker == 0xE2:
                return False
            place += int.from_bytes(content[place : place + 2], "big")
    return False
