"""What a path holds, by its first bytes, and the one face of all that can be read: ``Source``."""

import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Notice, Report
from pnpvideo.video import picture_formats, stream
from pnpvideo.video.animation import open_picture
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.folder import Folder
from pnpvideo.video.pillow_reader import Remarks

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


def open_source(path: Path, *, allow_partial: bool, patience_seconds: float, report: Report) -> Source:
    """Describes the file or folder, without decoding more than it must. InputError, DecodeError: see ``read``."""
    named = printable(str(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{named} does not exist; give a video, an animation, a still or a folder of frames") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{named} cannot be opened: {printable(str(error))}") from error
    if stat.S_ISDIR(mode):
        return Folder.of(path, Remarks(report))
    if not stat.S_ISREG(mode):
        raise InputError(f"{named} is not a regular file; pipes and devices are not read")
    try:
        with path.open("rb") as file:
            head = file.read(picture_formats.HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{named} cannot be opened: {printable(str(error))}") from error
    demuxer = None if picture_formats.of_head(head) else _demuxer(head)
    if demuxer is not None:
        if demuxer == "avi" and int.from_bytes(head[4:8], "little") + 8 > path.stat().st_size:  # ffmpeg takes no notice
            if not allow_partial:
                raise DecodeError(f"{named} is cut short; --allow-partial keeps what can be read")
            report(Notice(message=f"{named} is cut short; what can be read of it is"))
        if path.suffix.lower() in picture_formats.SUFFIXES:
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
    form = picture_formats.of_file(path)
    if form is None:
        what = "is empty" if not head else "is no video, animation or picture that is known"
        raise InputError(f"{named} {what}; accepted are mp4, mov, mkv, webm, avi, {picture_formats.NAMES}, a folder")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise InputError(f"{named} holds a picture, not a video; rename it and try again")
    return open_picture(path, form, Remarks(report), patience_seconds)


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
