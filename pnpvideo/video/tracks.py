"""The tracks of a video file, as ffmpeg lists them, and which of its picture tracks is read."""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.video import ffmpeg
from pnpvideo.video.ffmpeg import printable

_STREAM = re.compile(
    r"^  Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\(([\w-]{2,35})\))?[^:\n]*: (Video|Audio|Subtitle): ((\w+).*)$",
    re.MULTILINE,
)
_SIZE = re.compile(r", (\d+x\d+)[ ,]")
BYTES_A_SECOND = 20_000_000  # at which packets are read at the least, without decoding
OPENING_PACKETS = 1000  # in which the first keyframe of a stream is looked for


@dataclass(frozen=True, kw_only=True)
class Track:
    """One track: its index in the file, its codec in ffmpeg's name, ffmpeg's own description, its language if known."""

    index: int
    codec: str
    description: str
    default: bool
    language: str | None = None

    def __str__(self) -> str:
        size = _SIZE.search(self.description)
        return ", ".join([self.codec, *([size[1]] if size else []), *(["default"] if self.default else [])])


@dataclass(frozen=True, kw_only=True)
class Packets:
    """count: packets of a track. duration_seconds: from its first time stamp to the end of its last packet.
    keyframes: indices of the packets that are keyframes."""

    count: int
    duration_seconds: Fraction
    keyframes: tuple[int, ...]


def tracks(listing: str, kind: str) -> list[Track]:
    """The tracks of one kind, "Video", "Audio" or "Subtitle", in what ``ffmpeg -i`` says; covers are left out."""
    of_input = re.split(r"^(?:Stream mapping:|Output #0)", listing, maxsplit=1, flags=re.MULTILINE)[0]
    found = [
        Track(
            index=int(match[1]),
            codec=match[5],
            description=match[4],
            default="(default)" in match[4],
            language=None if match[2] in (None, "und") else match[2],
        )
        for match in _STREAM.finditer(of_input)
        if match[3] == kind
    ]
    covers = ("(attached pic)", "(timed thumbnails)", "(still image)")
    return [track for track in found if kind != "Video" or not any(mark in track.description for mark in covers)]


def chosen(path: Path, demuxer: str, pictures: Sequence[Track], number: int | None, patience_seconds: float) -> Track:
    """The picture track of that number, counted from 0. Without a number: of those that move the one that is flagged
    as default, of several or none such the longest, of equally long ones the first.

    InputError: there is no track of that number.
    """
    if number is not None:
        if number >= len(pictures):
            raise InputError(f"{printable(str(path))} has no picture track {number}; it has {listed(pictures)}")
        return pictures[number]
    if len(pictures) == 1:
        return pictures[0]
    found = packets(path, demuxer, [track.index for track in pictures], patience_seconds=patience_seconds)
    by_index = dict(zip([track.index for track in pictures], found, strict=True))
    moving = [track for track in pictures if by_index[track.index].count > 1] or list(pictures)
    candidates = [track for track in moving if track.default] or moving
    return max(candidates, key=lambda track: by_index[track.index].duration_seconds)


def listed(pictures: Sequence[Track]) -> str:
    """The tracks with their numbers, for a message."""
    return "; ".join(f"track {number} ({track})" for number, track in enumerate(pictures))


def packets(
    path: Path, demuxer: str, indices: Sequence[int], *, patience_seconds: float, most: int | None = None
) -> list[Packets]:
    """The packets of each of these tracks, read without decoding; ``most``: no more than these from the beginning.

    DecodeError where reading takes longer than the file's size explains.
    """
    limit = patience_seconds + path.stat().st_size / BYTES_A_SECOND
    maps = [argument for index in indices for argument in ("-map", f"0:{index}")]
    few = [] if most is None else ["-frames:v", str(most)]
    arguments = ["-v", "error", *ffmpeg.input_arguments(path, demuxer), *maps, "-c", "copy", "-copyinkf", *few]
    with tempfile.TemporaryFile() as listing:
        status, _ = ffmpeg.run([*arguments, "-f", "framecrc", "pipe:1"], limit, stdout=listing)
        if status is None:
            raise DecodeError(f"{printable(str(path))}: reading its packets hangs; stopped after {limit:.0f} s")
        listing.seek(0)
        return _counted((line.decode("ascii", "replace") for line in listing), len(indices))


def times_jump(path: Path, demuxer: str, index: int, *, patience_seconds: float) -> bool:
    """Whether the time stamps of a track start anew on the way, as in joined pieces; read without decoding."""
    limit = patience_seconds + path.stat().st_size / BYTES_A_SECOND
    see = ["-map", f"0:{index}", "-c", "copy", "-f", "null", "-"]
    _, said = ffmpeg.run(["-v", "warning", *ffmpeg.input_arguments(path, demuxer), *see], limit)
    return "timestamp discontinuity" in said


def _counted(lines: Iterable[str], number: int) -> list[Packets]:
    """Reads ffmpeg's framecrc format: "track, dts, pts, duration, bytes, checksum, flags", behind lines of "#"."""
    clocks = [Fraction(1)] * number
    starts: list[int | None] = [None] * number
    ends, counts = [0] * number, [0] * number
    keyframes: list[list[int]] = [[] for _ in range(number)]
    for line in lines:
        if base := re.match(r"#tb (\d+): (\d+/\d+)", line):
            clocks[int(base[1])] = Fraction(base[2])
        if packet := re.match(r"(\d+), *-?\d+, *(-?\d+), *(-?\d+), ", line):
            track, pts, duration = (int(field) for field in packet.groups())
            start = starts[track]
            starts[track] = pts if start is None else min(start, pts)
            ends[track] = max(ends[track], pts + duration)
            if "F=0x0" not in line and "F=0x2" not in line:  # neither a keyframe nor a corrupt one
                keyframes[track].append(counts[track])
            counts[track] += 1
    return [
        Packets(
            count=counts[track],
            duration_seconds=(ends[track] - (starts[track] or 0)) * clocks[track],
            keyframes=tuple(keyframes[track]),
        )
        for track in range(number)
    ]
