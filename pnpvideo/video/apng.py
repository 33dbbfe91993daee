"""The one thing of an animated PNG that ffmpeg cannot be told while it encodes: how long the last frame is shown."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

LARGEST = 65535  # of a delay's numerator and denominator
CONTROL_BYTES = 26  # of a frame's control chunk (fcTL), in which the delay stands at 20


def set_last_delay(path: Path, seconds: Fraction) -> None:
    """Writes the delay into the last frame's control chunk, in place; a PNG of one still frame has none."""
    delay = seconds.limit_denominator(LARGEST)
    if delay.numerator > LARGEST:
        delay = Fraction(min(round(seconds), LARGEST))
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
        control = bytearray(file.read(CONTROL_BYTES))
        control[20:24] = struct.pack(">HH", delay.numerator, delay.denominator)
        file.seek(last)
        file.write(control + struct.pack(">I", zlib.crc32(b"fcTL" + control)))
