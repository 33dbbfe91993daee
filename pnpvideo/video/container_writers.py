"""The parts of output containers that are written here, because neither ffmpeg nor Pillow can: Matroska, APNG, WebP.

- Matroska (RFC 9559): raw frames with their times, to be sent to ffmpeg through a pipe. Times survive a pipe only in a
  container. Matroska counts in nanoseconds if asked to, takes uncompressed RGB, and may be of unknown length. ffmpeg
  rounds to the encoder's much coarser time base, which undoes the rounding to nanoseconds.
- APNG: the delay of the last frame, which ffmpeg cannot be told.
- WebP: animations. libwebp's own animation encoder merges equal frames; this one keeps each frame and its duration.
"""

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

NANOSECONDS = 10**9
APNG_LARGEST = 65535
"""Largest numerator and denominator of a delay in an APNG."""
APNG_CONTROL_BYTES = 26
"""Size of a frame's control chunk (fcTL); its delay stands at byte 20."""
WEBP_QUALITY = 90
WEBP_LONGEST_MILLISECONDS = 2**24 - 1


def matroska_header(width: int, height: int, channels: int) -> bytes:
    """The beginning of a stream of uint8 RGB (3 channels) or RGBA (4 channels) frames."""
    head = _element(
        0x1A45DFA3,  # EBML
        _number(0x4286, 1) + _number(0x42F7, 1) + _number(0x42F2, 4) + _number(0x42F3, 8),  # versions, longest id, size
        _element(0x4282, b"matroska") + _number(0x4287, 4) + _number(0x4285, 2),  # DocType and its versions
    )
    about = _element(0x1549A966, _number(0x2AD7B1, 1), _element(0x4D80, b"pnpvideo"), _element(0x5741, b"pnpvideo"))
    fourcc = b"RGBA" if channels == 4 else b"RGB\x18"
    picture = _element(0xE0, _number(0xB0, width), _number(0xBA, height), _element(0x2EB524, fourcc))
    track = _element(
        0xAE,
        _number(0xD7, 1) + _number(0x73C5, 1) + _number(0x83, 1) + _number(0x9C, 0),  # number, UID, video, no lacing
        _element(0x86, b"V_UNCOMPRESSED"),
        picture,
    )
    segment_of_unknown_size = bytes.fromhex("18538067 01FFFFFFFFFFFFFF")
    return head + segment_of_unknown_size + about + _element(0x1654AE6B, track)


def matroska_block(pts_seconds: Fraction, duration_seconds: Fraction, raw_bytes: int) -> bytes:
    """What precedes the ``raw_bytes`` bytes of one frame: the head of a cluster that holds nothing else."""
    time = _number(0xE7, round(pts_seconds * NANOSECONDS))
    duration = _number(0x9B, round(duration_seconds * NANOSECONDS))
    frame = _element_head(0xA1, 4 + raw_bytes) + b"\x81\0\0\0"  # track 1, at the cluster's time, no flags
    group = _element_head(0xA0, len(duration) + len(frame) + raw_bytes) + duration + frame
    return _element_head(0x1F43B675, len(time) + len(group) + raw_bytes) + time + group


def _element_head(identifier: int, size: int) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + (size | 1 << 56).to_bytes(8, "big")


def _element(identifier: int, *content: bytes) -> bytes:
    data = b"".join(content)
    return _element_head(identifier, len(data)) + data


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8, "big"))


def set_last_apng_delay(path: Path, seconds: Fraction) -> None:
    """Write the delay into the last frame's control chunk, in place. A PNG of a single frame has no such chunk."""
    delay = seconds.limit_denominator(APNG_LARGEST)
    if delay.numerator > APNG_LARGEST:
        delay = Fraction(min(round(seconds), APNG_LARGEST))
    with path.open("r+b") as file:
        file.seek(8)
        last = None
        while len(head := file.read(8)) == 8:
            size, name = struct.unpack(">I4s", head)
            if name == b"fcTL":
                last = file.tell()
            file.seek(size + 4, 1)
        if last is None:
            return
        file.seek(last)
        control = bytearray(file.read(APNG_CONTROL_BYTES))
        control[20:24] = struct.pack(">HH", delay.numerator, delay.denominator)
        file.seek(last)
        file.write(control + struct.pack(">I", zlib.crc32(b"fcTL" + control)))


class AnimatedWebP:
    """Writes an animation to a seekable binary file: each picture is encoded as a still and framed here.

    width, height: in pixels, of all frames. plays: how many times the animation is shown, 0: forever.
    """

    def __init__(self, file: BinaryIO, width: int, height: int, *, alpha: bool, plays: int) -> None:
        self._file = file
        self._size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        animated, transparent = 0x02, 0x10
        flags = animated | (transparent if alpha else 0)
        file.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + self._size))
        file.write(_chunk(b"ANIM", b"\0\0\0\0" + struct.pack("<H", min(plays, 65535))))

    def append(self, pixels: np.ndarray, duration_milliseconds: int) -> None:
        """Add a frame (h, w, 3 or 4) uint8. Durations are limited to what the format can store."""
        still = io.BytesIO()
        Image.fromarray(pixels).save(still, "WEBP", quality=WEBP_QUALITY, method=4, exact=True)
        overwrite_no_blend = 0x02
        duration = struct.pack("<I", min(max(duration_milliseconds, 1), WEBP_LONGEST_MILLISECONDS))[:3]
        head = b"\0" * 6 + self._size + duration + bytes([overwrite_no_blend])
        self._file.write(_chunk(b"ANMF", head + _picture_chunks(still.getvalue())))

    def finish(self) -> None:
        """Write the size of the file into its header."""
        size = self._file.tell() - 8
        self._file.seek(4)
        self._file.write(struct.pack("<I", size))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _picture_chunks(still: bytes) -> bytes:
    """The chunks of a still WebP that hold its pixels and its alpha."""
    chunks, at = b"", 12
    while at < len(still):
        name, size = still[at : at + 4], struct.unpack("<I", still[at + 4 : at + 8])[0]
        if name in (b"ALPH", b"VP8 ", b"VP8L"):
            chunks += _chunk(name, still[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return chunks
