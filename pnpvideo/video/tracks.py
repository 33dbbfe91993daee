"""List the tracks of a video file, as ffmpeg does, and choose the video track that is read."""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import DecodeError, InputError, printable
from pnpvideo.video import ffmpeg

BYTES_PER_SECOND = 20_000_000
"""Slowest expected rate at which packets are read without decoding; sets time limits."""
OPENING_PACKETS = 1000
"""Packets at the beginning of a stream in which its first keyframe is searched for."""
_STREAM = re.compile(
    r"^(?:  ){1,2}Stream #0:(\d+)(?:\[0x[0-9a-f]+\])?(?:\(([\w-]{2,35})\))?[^:\n]*: (Video|Audio|Subtitle): ((\w+).*)$",
    re.MULTILINE,
)
_SIZE = re.compile(r", (\d+x\d+)[ ,]")
_COVERS = ("(attached pic)", "(timed thumbnails)", "(still image)")


@dataclass(frozen=True, kw_only=True)
class Track:
    """One track of a file."""

    index: int
    """Number among all tracks of the file."""
    codec: str
    """In ffmpeg's name."""
    description: str
    """ffmpeg's own description."""
    default: bool
    """Whether the file flags it as the default track."""
    language: str | None = None
    """Such as "eng"; None if the file does not state it."""

    def __str__(self) -> str:
        size = _SIZE.search(self.description)
        return ", ".join([self.codec, *([size[1]] if size else []), *(["default"] if self.default else [])])


@dataclass(frozen=True, kw_only=True)
class Packets:
    """The packets of a track, counted without decoding."""

    count: int
    duration_seconds: Fraction
    """From the first timestamp to the end of the last packet."""
    keyframes: tuple[int, ...]
    """Indices of the packets that are keyframes and not corrupt."""
    last_seconds: Fraction
    """Timestamp of the packet that is shown last."""
    last_duration_seconds: Fraction
    """How long that packet is shown, as the file states it; 0 if it does not."""
    ends_in_order: bool
    """Whether it is also the one that is decoded last."""


def parse_tracks(listing: str, kind: str) -> list[Track]:
    """The tracks of one kind, "Video", "Audio" or "Subtitle", in the output of ``ffmpeg -i``, without covers.

    They are in the order of the file. ffmpeg lists those of a group, such as a video and its timecode, first and
    further in, and those of two groups twice.
    """
    of_input = re.split(r"^(?:Stream mapping:|Output #0)", listing, maxsplit=1, flags=re.MULTILINE)[0]
    after_tags = re.split(r"^  Duration: ", of_input, maxsplit=1, flags=re.MULTILINE)[-1]  # which a file may name so
    found = {
        int(match[1]): Track(
            index=int(match[1]),
            codec=match[5],
            description=match[4],
            default="(default)" in match[4],
            language=None if match[2] in (None, "und") else match[2],
        )
        for match in _STREAM.finditer(after_tags)
        if match[3] == kind
    }
    in_order = [found[index] for index in sorted(found)]
    return [track for track in in_order if kind != "Video" or not any(mark in track.description for mark in _COVERS)]


def choose_track(
    path: Path, demuxer: str, pictures: Sequence[Track], number: int | None, patience_seconds: float
) -> Track:
    """The video track of that number, counted from 0.

    Without a number: among the tracks of more than one packet, the track that is flagged as default; among several or
    none such, the longest; among equally long ones, the first. Raises InputError if there is no track of that number.
    """
    if number is not None:
        if number >= len(pictures):
            name = printable(str(path))
            raise InputError(f"{name} has no video track {number}; it has {describe_tracks(pictures)}")
        return pictures[number]
    if len(pictures) == 1:
        return pictures[0]
    packets = read_packets(path, demuxer, [track.index for track in pictures], patience_seconds=patience_seconds)
    by_index = dict(zip([track.index for track in pictures], packets, strict=True))
    moving = [track for track in pictures if by_index[track.index].count > 1] or list(pictures)
    candidates = [track for track in moving if track.default] or moving
    return max(candidates, key=lambda track: by_index[track.index].duration_seconds)


def describe_tracks(pictures: Sequence[Track]) -> str:
    """List the tracks with their numbers, for a message."""
    return "; ".join(f"track {number} ({track})" for number, track in enumerate(pictures))


def read_packets(
    path: Path, demuxer: str, indices: Sequence[int], *, patience_seconds: float, most: int | None = None
) -> list[Packets]:
    """Count the packets of each of these tracks, without decoding; ``most``: only so many from the beginning.

    Raises DecodeError if reading takes longer than the file's size explains.
    """
    limit = patience_seconds + path.stat().st_size / BYTES_PER_SECOND
    maps = [argument for index in indices for argument in ("-map", f"0:{index}")]
    few = [] if most is None else ["-frames:v", str(most)]
    arguments = ["-v", "error", *ffmpeg.input_arguments(path, demuxer), *maps, "-c", "copy", "-copyinkf", *few]
    with tempfile.TemporaryFile() as listing:
        status, _ = ffmpeg.run([*arguments, "-f", "framecrc", "pipe:1"], limit, stdout=listing)
        if status is None:
            raise DecodeError(f"{printable(str(path))}: reading its packets hangs; stopped after {limit:.0f} s")
        listing.seek(0)
        return _parse_framecrc((line.decode("ascii", "replace") for line in listing), len(indices))


def has_time_jump(path: Path, demuxer: str, index: int, *, patience_seconds: float) -> bool:
    """Whether the timestamps of a track start again on the way, as in joined pieces. Reads without decoding."""
    limit = patience_seconds + path.stat().st_size / BYTES_PER_SECOND
    output = ["-map", f"0:{index}", "-c", "copy", "-f", "null", "-"]
    _, log = ffmpeg.run(["-v", "warning", *ffmpeg.input_arguments(path, demuxer), *output], limit)
    return "timestamp discontinuity" in log


def _parse_framecrc(lines: Iterable[str], number: int) -> list[Packets]:
    """Read ffmpeg's framecrc format: lines "track, dts, pts, duration, bytes, checksum, flags" after lines of "#"."""
    clocks = [Fraction(1)] * number
    starts: list[int | None] = [None] * number
    ends, counts = [0] * number, [0] * number
    keyframes: list[list[int]] = [[] for _ in range(number)]
    last = [(0, 0)] * number  # timestamp, duration
    latest = [0] * number  # timestamp of the packet before
    for line in lines:
        if base := re.match(r"#tb (\d+): (\d+/\d+)", line):
            clocks[int(base[1])] = Fraction(base[2])
        if packet := re.match(r"(\d+), *-?\d+, *(-?\d+), *(-?\d+), ", line):
            track, pts, duration = (int(field) for field in packet.groups())
            start = starts[track]
            starts[track] = pts if start is None else min(start, pts)
            ends[track] = max(ends[track], pts + duration)
            latest[track] = pts
            last[track] = max(last[track], (pts, duration)) if counts[track] else (pts, duration)
            if "F=0x0" not in line and "F=0x2" not in line:  # flags: neither "no keyframe" nor "corrupt"
                keyframes[track].append(counts[track])
            counts[track] += 1
    return [
        Packets(
            count=counts[track],
            duration_seconds=(ends[track] - (starts[track] or 0)) * clocks[track],
            keyframes=tuple(keyframes[track]),
            last_seconds=last[track][0] * clocks[track],
            last_duration_seconds=last[track][1] * clocks[track],
            ends_in_order=latest[track] == last[track][0],
        )
        for track in range(number)
    ]
