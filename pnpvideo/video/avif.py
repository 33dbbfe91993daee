"""Read what Pillow leaves out of an AVIF: its frames' exact durations, and whether it is HDR."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from pnpvideo.video.pillow_reader import Warn

_HDR = {16: "PQ", 18: "HLG"}  # transfer functions, by their numbers in ITU-T H.273


def frame_durations(content: bytes) -> tuple[Fraction, ...] | None:
    """Duration in seconds of each frame of the picture track, by its tables; None if there is no such track.

    Pillow rounds these to milliseconds.
    """
    for track in _find_boxes(content, b"moov", b"trak"):
        handler = next(_find_boxes(track, b"mdia", b"hdlr"), b"")
        header = next(_find_boxes(track, b"mdia", b"mdhd"), b"")
        table = next(_find_boxes(track, b"mdia", b"minf", b"stbl", b"stts"), b"")
        if handler[8:12] != b"pict" or not header or len(table) < 8:
            continue
        place = 20 if header[0] == 1 else 12
        ticks = int.from_bytes(header[place : place + 4], "big")
        entries = table[8 : 8 + 8 * int.from_bytes(table[4:8], "big")]
        runs = [
            (int.from_bytes(entries[k : k + 4], "big"), int.from_bytes(entries[k + 4 : k + 8], "big"))
            for k in range(0, len(entries), 8)
        ]
        if ticks and sum(count for count, _ in runs) <= len(content):  # a frame has at least a byte
            return tuple(Fraction(step, ticks) for count, step in runs for _ in range(count))
    return None


def warn_of_hdr(path: Path, warn: Warn) -> None:
    """Warn if the file states an HDR transfer function, because Pillow does not tone-map."""
    content = path.read_bytes()
    place = content.find(b"colrnclx")
    curve = _HDR.get(int.from_bytes(content[place + 10 : place + 12], "big")) if place >= 0 else None
    if curve:
        warn(f"it is HDR ({curve}), which is not tone-mapped: it will look grey and flat")


def _find_boxes(content: bytes, name: bytes, *deeper: bytes) -> Iterator[bytes]:
    """The bodies of the boxes at this path of names."""
    place = 0
    while place + 8 <= len(content):
        size, start = int.from_bytes(content[place : place + 4], "big"), place + 8
        if size == 1:
            size, start = int.from_bytes(content[place + 8 : place + 16], "big"), place + 16
        end = place + size if size else len(content)
        if end < start:
            return
        if content[place + 4 : place + 8] == name:
            body = content[start:end]
            yield from _find_boxes(body, *deeper) if deeper else (body,)
        place = end
