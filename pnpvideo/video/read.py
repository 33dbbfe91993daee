"""One way in: a path becomes a clip, described at once, decoded lazily."""

import dataclasses
import stat
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

from pnpvideo.errors import DecodeError, InputError, OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.video import scrub, stills, stream
from pnpvideo.video.animation import Animation, is_animated
from pnpvideo.video.clip import Clip, ClipInfo, Frame
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.folder import Folder

PATIENCE_SECONDS = 60.0
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".3gp", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob"}
    | {".flv", ".ogv", ".ogg"}
)


class Source(Protocol):
    """What stream, animation, folder and still have in common."""

    @property
    def info(self) -> ClipInfo: ...

    def edges(self, stop: int | None = None) -> list[Fraction]:
        """Times between which the first ``stop`` frames are shown, at most stop + 1 of them, from 0 on."""
        ...

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames start to stop (exclusive), the first of them at 0 seconds."""
        ...


def read(
    path: str | Path,
    *,
    span: tuple[int, int | None] | None = None,
    decoder: str = "ffmpeg",
    allow_partial: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
    report: Report = ignore,
) -> Clip:
    """Opens a video (mp4, mov, mkv, webm, avi, ts, mpg, flv, ogg), an animation (GIF, APNG, WebP), a still
    (PNG, JPEG, WebP, BMP, TIFF) or a folder of such stills.

    span: frames (start, stop) to deliver, half-open, counted from 0; stop None: to the end. A video is decoded
        once beforehand for the exact times of its span.
    decoder: "ffmpeg", or "decord" (videos only), whose frames' times are checked against ffmpeg's.
    allow_partial: deliver the frames before the damage of a damaged video, and report the damage.
    patience_seconds: how long the decoder may stay silent before it is taken for hung and stopped.

    Frames are upright (rotation and EXIF orientation applied), at display size (sample aspect applied), 8 bits a
    channel. Deeper, grey and 4:4:4 sources are converted by their own tags, untagged YUV as BT.601; HDR is not
    tone-mapped. InputError: not a regular file or folder, not a known format, beyond the limits, or a span that
    lies outside. DecodeError: recognised, but damaged.
    """
    if decoder not in ("ffmpeg", "decord"):
        raise OptionError(f"decoder is {decoder!r}; accepted: ffmpeg, decord")
    start, stop = span or (0, None)
    if start < 0 or (stop is not None and stop <= start):
        raise OptionError(f"the span is {start}:{stop}; accepted is start:stop with 0 <= start < stop, counted from 0")
    source = _source(Path(path), allow_partial, patience_seconds, report)
    if decoder == "decord":
        source = scrub.Scrubbed.of(source)
    if span is None:
        return Clip(info=source.info, open=source.frames)
    edges = source.edges(stop)
    found = len(edges) - 1
    if found < (start + 1 if stop is None else stop):
        raise InputError(
            f"{printable(str(path))} has {found} frames; the span {start}:{'' if stop is None else stop} lies beyond"
        )
    stop = found if stop is None else stop
    info = dataclasses.replace(source.info, frames=stop - start, duration_seconds=edges[stop] - edges[start])
    return Clip(
        info=info,
        open=partial(source.frames, start, stop),
        span=(start, stop),
        span_seconds=(edges[start], edges[stop]),
    )


def _source(path: Path, allow_partial: bool, patience_seconds: float, report: Report) -> Source:
    named = printable(str(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{named} does not exist; give a video, an animation, a still or a folder of frames") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{named} cannot be opened: {printable(str(error))}") from error
    if stat.S_ISDIR(mode):
        return Folder.of(path)
    if not stat.S_ISREG(mode):
        raise InputError(f"{named} is not a regular file; pipes and devices are not read")
    try:
        with path.open("rb") as file:
            head = file.read(400)
    except OSError as error:
        raise InputError(f"{named} cannot be opened: {printable(str(error))}") from error
    demuxer = _demuxer(head)
    if demuxer is not None:
        if demuxer == "avi" and not allow_partial and int.from_bytes(head[4:8], "little") + 8 > path.stat().st_size:
            raise DecodeError(f"{named} is cut short; allow a partial result to keep what can be read")
        if path.suffix.lower() in stills.SUFFIXES:
            raise InputError(f"{named} holds a video ({demuxer}), not a picture; rename it and try again")
        info, codec = stream.describe(path, demuxer, timeout_seconds=patience_seconds)
        return stream.Stream(
            path=path,
            demuxer=demuxer,
            info=info,
            decoder=codec,
            allow_partial=allow_partial,
            patience_seconds=patience_seconds,
            report=report,
        )
    if not _is_picture(head):
        what = "is empty" if not head else "is no video, animation or picture that is known"
        raise InputError(f"{named} {what}; accepted are mp4, mov, mkv, webm, avi, GIF, APNG, WebP, PNG, JPEG, a folder")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise InputError(f"{named} holds a picture, not a video; rename it and try again")
    return Animation.of(path) if is_animated(path) else stills.Still.of(path)


def _demuxer(head: bytes) -> str | None:
    """ffmpeg's name for the video container that starts like this."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"):
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[0:189:188] == b"GG" or head[4:197:192] == b"GG":  # packets of 188 bytes, or of 192
        return "mpegts"
    starts = {b"\x1a\x45\xdf\xa3": "matroska", b"\0\0\x01\xba": "mpeg", b"FLV\x01": "flv", b"OggS": "ogg"}
    return starts.get(head[:4])


def _is_picture(head: bytes) -> bool:
    starts = (b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
    return head.startswith(starts) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
