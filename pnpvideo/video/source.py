"""Open a path as a ``Source``, by what its first bytes say that it holds."""

import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from pnpvideo.errors import DecodeError, printable
from pnpvideo.events import Notice, Report
from pnpvideo.video.animation import open_picture
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.folder import Folder
from pnpvideo.video.input_file import InputFile, recognise
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
    found = recognise(path, track)
    if found.demuxer is not None:
        states_size = found.demuxer != "avi" or _avi_states_size(found, allow_partial, report)
        stream = open_stream(
            path,
            found.demuxer,
            track=track,
            allow_partial=allow_partial,
            patience_seconds=patience_seconds,
            report=report,
        )
        return stream if states_size else _without_duration(stream)
    if found.picture is not None:
        return open_picture(path, found.picture, FileWarnings(report), patience_seconds)
    return Folder.open(path, FileWarnings(report))


def _avi_states_size(file: InputFile, allow_partial: bool, report: Report) -> bool:
    """Whether an AVI states its size. Reports what ffmpeg does not say: that it states none, or ends before it."""
    name, stated = printable(str(file.path)), int.from_bytes(file.head[4:8], "little")
    if stated in _AVI_UNSTATED:
        report(Notice(message=f"{name} was written to a pipe and states no size; it is read to its end"))
        return False
    if stated + 8 > file.path.stat().st_size:
        if not allow_partial:
            raise DecodeError(f"{name} is cut short; --allow-partial keeps what can be read")
        report(Notice(message=f"{name} is cut short; what can be read of it is"))
    return True


def _without_duration(stream: VideoStream) -> VideoStream:
    """Forget the duration that ffmpeg guesses for an AVI that states none."""
    info = dataclasses.replace(stream.info, duration_seconds=None)
    return VideoStream(dataclasses.replace(stream.track, info=info))
