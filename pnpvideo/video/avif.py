"""Read what Pillow leaves out of an AVIF: its frames' exact durations, and whether it is HDR."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from pnpvideo.video.pillow_reader import Warn

_HDR = {16: "PQ", 18: "HLG"}  # transfer functions, by their numbers in ITU-T H.273


def frame_durations(content: bytes) -> tuple[Fraction, ...] | None:
    """Duration in seconds of each frame of the first video track, from its time-to-sample table (stts).

    None if there is no such track. Exact, where Pillow rounds to milliseconds.
    """
    for track in _find_boxes(content, b"moov", b"trak"):
        handler = next(_find_boxes(track, b"mdia", b"hdlr"), b"")
        header = next(_find_boxes(track, b"mdia", b"mdhd"), b"")
        table = next(_find_boxes(track, b"mdia", b"minf", b"stbl", b"stts"), b"")
        if handler[8:12] != b"pict" or not header or len(table) < 8:
            continue
        at = 20 if header[0] == 1 else 12  # version 1 has 64-bit times before the timescale
        timescale = int.from_bytes(header[at : at + 4], "big")  # ticks per second
        entries = table[8 : 8 + 8 * int.from_bytes(table[4:8], "big")]
        runs = [
            (int.from_bytes(entries[k : k + 4], "big"), int.from_bytes(entries[k + 4 : k + 8], "big"))
            for k in range(0, len(entries), 8)
        ]
        if timescale and sum(count for count, _ in runs) <= len(content):  # damaged if frames outnumber bytes
            return tuple(Fraction(delta, timescale) for count, delta in runs for _ in range(count))
    return None


def warn_of_hdr(path: Path, warn: Warn) -> None:
    """Warn if the file states an HDR transfer function, because Pillow does not tone-map."""
    content = path.read_bytes()
    found = content.find(b"colrnclx")  # then colour primaries and transfer function, two bytes each
    curve = _HDR.get(int.from_bytes(content[found + 10 : found + 12], "big")) if found >= 0 else None
    if curve:
        warn(f"it is HDR ({curve}), which is not tone-mapped: it will look grey and flat")


def _find_boxes(content: bytes, name: bytes, *deeper: bytes) -> Iterator[bytes]:
    """The bodies of all ISO BMFF boxes at the path ``name``, ``deeper``...; stops at a box with an impossible size."""
    offset = 0
    while offset + 8 <= len(content):
        size, start = int.from_bytes(content[offset : offset + 4], "big"), offset + 8
        if size == 1:  # a 64-bit size follows the name; 0: to the end
            size, start = int.from_bytes(content[offset + 8 : offset + 16], "big"), offset + 16
        end = offset + size if size else len(content)
        if end < start:
            return
        if content[offset + 4 : offset + 8] == name:
            body = content[start:end]
            yield from _find_boxes(body, *deeper) if deeper else (body,)
        offset = end
