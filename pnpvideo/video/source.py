"""Find out what a path holds, by its first bytes, and open it as a ``Source``."""

import dataclasses
import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from pnpvideo.errors import DecodeError, InputError, printable, refuse_url
from pnpvideo.events import Notice, Report
from pnpvideo.video import containers, picture_formats
from pnpvideo.video.animation import open_picture
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.folder import Folder
from pnpvideo.video.open_stream import open_stream
from pnpvideo.video.pillow_reader import FileWarnings
from pnpvideo.video.stream import VideoStream

_AVI_UNSTATED = (0, 0xFFFFFFFF)  # size of an AVI that was written to a pipe, where it could not be filled in


class Source(Protocol):
    """What videos, animations, stills and folders have in common."""

    @property
    def info(self) -> ClipInfo: ...

    def edges(self, stop: int | None = None, stop_seconds: Fraction | None = None) -> list[Fraction]:
        """Times at which the frames begin, in seconds from 0 on, then the time at which the last of them ends.

        A source that has to decode for this may end early: once it knows when ``stop`` frames begin and the last of
        them ends, or once a frame begins at or after ``stop_seconds``.
        """
        ...

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Decode frames start to stop (exclusive), the first of them at 0 seconds."""
        ...


def open_source(
    path: Path, *, track: int | None, allow_partial: bool, patience_seconds: float, report: Report
) -> Source:
    """Describe a file or folder, decoding no more than that needs. Options and errors as in ``read``."""
    name = printable(str(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        refuse_url(path)
        raise InputError(f"{name} does not exist; give a video, an animation, a still or a folder of frames") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be opened: {printable(str(error))}") from error
    if stat.S_ISDIR(mode):
        _refuse_track(name, track)
        return Folder.open(path, FileWarnings(report))
    if not stat.S_ISREG(mode):
        raise InputError(f"{name} is not a regular file; pipes and devices are not read")
    try:
        with path.open("rb") as file:
            head = file.read(containers.HEAD_BYTES)
        demuxer = containers.demuxer_of(path, head)
    except OSError as error:
        raise InputError(f"{name} cannot be opened: {printable(str(error))}") from error
    if demuxer is not None:
        _check_video_name(path, name, head, demuxer)
        states_size = demuxer != "avi" or _avi_states_size(path, head, allow_partial, report)
        stream = open_stream(
            path, demuxer, track=track, allow_partial=allow_partial, patience_seconds=patience_seconds, report=report
        )
        return stream if states_size else _without_duration(stream)
    _refuse_track(name, track)
    form = picture_formats.of_file(path)
    if form is None:
        what = "is empty" if not head else "is no video, animation or picture that is known"
        raise InputError(f"{name} {what}; accepted are {containers.NAMES}, {picture_formats.NAMES}, a folder")
    if path.suffix.lower() in containers.SUFFIXES:
        raise InputError(f"{name} holds a picture, not a video; rename it and try again")
    return open_picture(path, form, FileWarnings(report), patience_seconds)


def _refuse_track(name: str, track: int | None) -> None:
    if track is not None:
        raise InputError(f"{name} is no video and has no tracks to choose from; leave --track out")


def _check_video_name(path: Path, name: str, head: bytes, demuxer: str) -> None:
    """Raise InputError for a video with the extension of a picture, and for HEIF, which looks like an MP4."""
    if path.suffix.lower() in picture_formats.SUFFIXES and demuxer != "mjpeg":
        raise InputError(f"{name} holds a video ({demuxer}), not a picture; rename it and try again")
    if containers.is_heif(head):
        raise InputError(f"{name} is a HEIF picture (HEIC), which is not read; convert it to AVIF, PNG or JPEG")


def _avi_states_size(path: Path, head: bytes, allow_partial: bool, report: Report) -> bool:
    """Whether an AVI states its size. Reports what ffmpeg does not say: that it states none, or ends before it."""
    name, stated = printable(str(path)), int.from_bytes(head[4:8], "little")
    if stated in _AVI_UNSTATED:
        report(Notice(message=f"{name} was written to a pipe and states no size; it is read to its end"))
        return False
    if stated + 8 > path.stat().st_size:
        if not allow_partial:
            raise DecodeError(f"{name} is cut short; --allow-partial keeps what can be read")
        report(Notice(message=f"{name} is cut short; what can be read of it is"))
    return True


def _without_duration(stream: VideoStream) -> VideoStream:
    """Forget the duration that ffmpeg guesses for an AVI that states none."""
    info = dataclasses.replace(stream.info, duration_seconds=None)
    return VideoStream(dataclasses.replace(stream.track, info=info))
