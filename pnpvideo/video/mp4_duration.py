"""When a track of an MP4 or MOV ends, as its header states it (ISO/IEC 14496-12, 8.3.2: tkhd).

ffmpeg does not tell, and the packets state only distances in the order of decoding: where the frame that is shown last
is not decoded last, its duration is in no packet.
"""

import io
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

LARGEST_HEADER_BYTES = 1 << 27
MOST_BOXES = 100_000
"""Of one level that are looked through; whole films have a few, fragmented ones thousands."""


def track_end(path: Path, index: int) -> tuple[Fraction, Fraction] | None:
    """Of track ``index``, counted from 0 among all tracks: (its end, the clock's tick), in seconds; None if not stated.

    Edits are included: the end is in the time in which ffmpeg counts.
    """
    try:
        with path.open("rb") as file:
            movie = next((_content(file, size) for name, size in _boxes(file) if name == b"moov"), b"")
        found = [(name, _content(part, size)) for part in [io.BytesIO(movie)] for name, size in _boxes(part)]
        header = next(content for name, content in found if name == b"mvhd")
        track = io.BytesIO([content for name, content in found if name == b"trak"][index])
        times = next(_content(track, size) for name, size in _boxes(track) if name == b"tkhd")
        (ticks_per_second,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
        (ticks,) = struct.unpack_from(">Q", times, 28) if times[0] else struct.unpack_from(">I", times, 20)
    except (OSError, StopIteration, IndexError, struct.error):
        return None
    if not ticks_per_second or ticks in (0, 2**32 - 1, 2**64 - 1):  # fragmented, or unknown
        return None
    return Fraction(ticks, ticks_per_second), Fraction(1, ticks_per_second)


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and size of the content of each box from here on; the file stands at the content when one is yielded."""
    at, end = file.tell(), file.seek(0, os.SEEK_END)
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", file.read(8)), 16
        size = size or end - at
        if size < head:
            return
        yield name, min(size, end - at) - head
        at += size


def _content(file: BinaryIO, size: int) -> bytes:
    return file.read(min(size, LARGEST_HEADER_BYTES))
