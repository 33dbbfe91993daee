"""Animated WebP, frame by frame: each picture is encoded as a still and framed here (RIFF, ANIM, ANMF).

libwebp's animation encoder merges frames that are alike; this container keeps every frame and its own duration.
"""

import io
import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

QUALITY = 90
LONGEST_MILLISECONDS = 2**24 - 1


class AnimatedWebP:
    """Writes frames of one size to a seekable binary file. ``plays``: how often, 0 for ever."""

    def __init__(self, file: BinaryIO, width: int, height: int, *, alpha: bool, plays: int) -> None:
        self._file = file
        self._size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        animated, transparent = 0x02, 0x10
        flags = animated | (transparent if alpha else 0)
        file.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + self._size))
        file.write(_chunk(b"ANIM", b"\0\0\0\0" + struct.pack("<H", min(plays, 65535))))

    def append(self, pixels: np.ndarray, duration_milliseconds: int) -> None:
        """pixels: (h, w, 3 or 4) uint8."""
        still = io.BytesIO()
        Image.fromarray(pixels).save(still, "WEBP", quality=QUALITY, method=4, exact=True)
        overwrite_no_blend = 0x02
        duration = struct.pack("<I", min(max(duration_milliseconds, 1), LONGEST_MILLISECONDS))[:3]
        head = b"\0" * 6 + self._size + duration + bytes([overwrite_no_blend])
        self._file.write(_chunk(b"ANMF", head + _picture(still.getvalue())))

    def finish(self) -> None:
        size = self._file.tell() - 8
        self._file.seek(4)
        self._file.write(struct.pack("<I", size))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _picture(still: bytes) -> bytes:
    """The chunks of a still WebP that hold its pixels and its alpha."""
    kept, at = b"", 12
    while at < len(still):
        name, size = still[at : at + 4], struct.unpack("<I", still[at + 4 : at + 8])[0]
        if name in (b"ALPH", b"VP8 ", b"VP8L"):
            kept += _chunk(name, still[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return kept
