"""What a path holds, by its first bytes, and the one face of all that can be read: ``Source``."""

import dataclasses
import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from pnpvideo.errors import DecodeError, InputError, refuse_url
from pnpvideo.events import Notice, Report
from pnpvideo.video import containers, picture_formats, stream
from pnpvideo.video.animation import open_picture
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.containers import SUFFIXES as VIDEO_SUFFIXES
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.folder import Folder
from pnpvideo.video.pillow_reader import Remarks

AVI_UNSTATED = (0, 0xFFFFFFFF)  # as the size of an AVI: its writer could not go back to fill it in


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


def open_source(
    path: Path, *, track: int | None, allow_partial: bool, patience_seconds: float, report: Report
) -> Source:
    """Describes the file or folder, without decoding more than it must. InputError, DecodeError: see ``read``."""
    named = printable(str(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        refuse_url(path)
        raise InputError(f"{named} does not exist; give a video, an animation, a still or a folder of frames") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{named} cannot be opened: {printable(str(error))}") from error
    if stat.S_ISDIR(mode):
        _no_tracks(named, track)
        return Folder.of(path, Remarks(report))
    if not stat.S_ISREG(mode):
        raise InputError(f"{named} is not a regular file; pipes and devices are not read")
    try:
        with path.open("rb") as file:
            head = file.read(containers.HEAD_BYTES)
        demuxer = containers.demuxer_of(path, head)
    except OSError as error:
        raise InputError(f"{named} cannot be opened: {printable(str(error))}") from error
    if demuxer is not None:
        if path.suffix.lower() in picture_formats.SUFFIXES and demuxer != "mjpeg":
            raise InputError(f"{named} holds a video ({demuxer}), not a picture; rename it and try again")
        if containers.is_heif(head):
            raise InputError(f"{named} is a HEIF picture (HEIC), which is not read; convert it to AVIF, PNG or JPEG")
        stated = demuxer != "avi" or _states_size(path, head, allow_partial, report)
        opened = stream.open_stream(
            path, demuxer, track=track, allow_partial=allow_partial, patience_seconds=patience_seconds, report=report
        )
        length = opened.info.duration_seconds if stated else None
        return dataclasses.replace(opened, info=dataclasses.replace(opened.info, duration_seconds=length))
    _no_tracks(named, track)
    form = picture_formats.of_file(path)
    if form is None:
        what = "is empty" if not head else "is no video, animation or picture that is known"
        raise InputError(f"{named} {what}; accepted are {containers.NAMES}, {picture_formats.NAMES}, a folder")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise InputError(f"{named} holds a picture, not a video; rename it and try again")
    return open_picture(path, form, Remarks(report), patience_seconds)


def _no_tracks(named: str, track: int | None) -> None:
    if track is not None:
        raise InputError(f"{named} is no video and has no tracks to choose from; leave --track out")


def _states_size(path: Path, head: bytes, allow_partial: bool, report: Report) -> bool:
    """Whether an AVI states its size. Says what ffmpeg does not: that it states none, or ends before it."""
    named, stated = printable(str(path)), int.from_bytes(head[4:8], "little")
    if stated in AVI_UNSTATED:
        report(Notice(message=f"{named} was written to a pipe and states no size; it is read to its end"))
        return False
    if stated + 8 > path.stat().st_size:
        if not allow_partial:
            raise DecodeError(f"{named} is cut short; --allow-partial keeps what can be read")
        report(Notice(message=f"{named} is cut short; what can be read of it is"))
    return True
