"""Write frames and their times to a file that appears under its name only when it is complete."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from pnpvideo.errors import EncodeError, OutputError, printable
from pnpvideo.publish import Publication
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.destination import check_existing, check_output, describe_output, resolve_output
from pnpvideo.video.encoder import Encoder
from pnpvideo.video.formats import Format
from pnpvideo.video.pillow_writers import FolderWriter, StillWriter, WebPWriter
from pnpvideo.video.pixels import composite_over_white

DEFAULT_FPS = Fraction(25)
"""Frames per second of a single frame whose source states no rate."""


class Sink(Protocol):
    """Takes the frames of one output format, each with its time and its duration."""

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        """pixels: (h, w, 3 or 4) uint8."""
        ...

    def finish(self) -> None:
        """Complete the file. Raises EncodeError if it is not complete."""
        ...

    def abort(self) -> None:
        """Stop writing and close everything."""
        ...


class Writer:
    """Writes mp4, m4v, mov, mkv, webm, GIF, APNG, WebP, PNG, JPEG, or a folder of PNGs, by the path's extension.

    Use it as a context manager: leaving it normally publishes the result; leaving it by an exception leaves nothing
    behind, and what was there before stays (see Publication).

    info: of the source (size, colour tags, sound, loop, clock).
    span_seconds: ``Clip.span_seconds``; the sound is trimmed to it.

    Sound is copied; codecs that the container cannot hold become AAC, FLAC in Matroska, or Opus in WebM. Alpha that the
    output cannot hold is composited over white. Raises OutputError as ``check_output`` does.
    """

    def __init__(
        self,
        path: str | Path,
        info: ClipInfo,
        *,
        overwrite: bool = False,
        span_seconds: tuple[Fraction, Fraction] | None = None,
    ) -> None:
        check_output(path, info, overwrite)
        self.path, self._form = resolve_output(path)
        self._publication, self._overwrite = Publication(self.path), overwrite
        try:
            check_existing(self.path, self._form, overwrite)  # another run may have ended since the first check
        except OutputError:
            self._publication.discard()
            raise
        self._info, self._span_seconds = info, span_seconds
        self._sink: Sink | None = None
        self._waiting: tuple[np.ndarray, Fraction, Fraction | None] | None = None  # until its duration is known
        self._step_seconds = 1 / (info.fps or DEFAULT_FPS)
        self._channels = 0
        self._is_closed = False
        self.frames = 0
        """Number of frames that were appended."""

    def append(
        self, pixels: np.ndarray, pts_seconds: Fraction | float, duration_seconds: Fraction | float | None = None
    ) -> None:
        """Append a frame (h, w, 3) RGB or (h, w, 4) RGBA, uint8, at the clip's display size, the same for all frames.

        Times must increase. Without a duration, a frame lasts until the next one, and the last frame as long as the one
        before it. Raises OutputError for a frame of another size or out of order, EncodeError if the encoder failed.
        """
        if self._is_closed:
            raise OutputError(f"{self._name} is closed; no frame can be appended")
        size = (self._info.height, self._info.width)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[:2] != size or pixels.shape[2] not in (3, 4):
            raise OutputError(
                f"frame {self.frames} is {pixels.dtype} of shape {pixels.shape}; "
                f"accepted is uint8 of shape {(*size, 3)} or {(*size, 4)}"
            )
        channels, self._channels = self._channels or pixels.shape[2], pixels.shape[2]
        if channels != self._channels:
            raise OutputError(f"frame {self.frames} has {self._channels} channels, those before it {channels}")
        time = Fraction(pts_seconds)
        if time < 0 or (self._waiting is not None and time <= self._waiting[1]):
            raise OutputError(f"frame {self.frames} comes at {float(time):.6f} s; times must start at 0 and increase")
        if self._waiting is not None:
            self._step_seconds = time - self._waiting[1]
            self._put(self._waiting[0], self._waiting[1], self._step_seconds)
        self._waiting = pixels.copy(), time, None if duration_seconds is None else Fraction(duration_seconds)
        self.frames += 1

    def close(self) -> None:
        """Complete the file and give it its name. Raises EncodeError if it is not complete; then nothing is written."""
        if self._is_closed:
            return
        try:
            if self._waiting is None:
                raise EncodeError(f"{self._name}: no frame was appended; nothing was written")
            pixels, time, duration = self._waiting
            self._put(pixels, time, duration or self._step_seconds)
            assert self._sink is not None
            self._publish(self._sink)
        except BaseException:
            self.abort()
            raise
        self._is_closed = True

    def abort(self) -> None:
        """Stop, and remove the unfinished file; nothing appears under the final name."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._sink is not None:
                self._sink.abort()
        finally:
            self._publication.discard()

    def _put(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        if pixels.shape[2] == 4 and not self._form.alpha:
            pixels = composite_over_white(pixels)
        if _is_too_short(self._form, pts_seconds, duration_seconds):
            raise OutputError(
                f"{self._name}: the frame at {float(pts_seconds):.3f} s lasts {float(duration_seconds):.4f} s, "
                f"less than viewers honour ({float(self._form.shortest_seconds or 0):g} s); name another format"
            )
        try:
            if self._sink is None:
                self._sink = self._open(self._publication.path, pixels.shape[2])
            self._sink.append(pixels, pts_seconds, duration_seconds)
        except OSError as error:
            raise EncodeError(f"{self._name} cannot be written: {error.strerror or error}") from error

    def _open(self, path: Path, channels: int) -> Sink:
        if self._form.route == "folder":
            return FolderWriter(path)
        if self._form.route == "still":
            return StillWriter(path, self._form.muxer, self._info)
        if self._form.route == "webp":
            return WebPWriter(path, self._info, channels == 4)
        return Encoder(path, self._form, self._info, channels, self._span_seconds)

    def _publish(self, sink: Sink) -> None:
        try:
            sink.finish()
            check_existing(self.path, self._form, self._overwrite)
            self._publication.publish(overwrite=self._overwrite)
        except OSError as error:
            raise EncodeError(f"{self._name} cannot be written: {error.strerror or error}") from error

    @property
    def output(self) -> str:
        """What names the output again, as text."""
        return describe_output(self.path, self._form)

    @property
    def _name(self) -> str:
        return printable(str(self.path))

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def _is_too_short(form: Format, pts_seconds: Fraction, duration_seconds: Fraction) -> bool:
    """Whether viewers would show a frame for longer, once its ends are rounded to the format's clock."""
    if form.shortest_seconds is None or form.tick_seconds is None:
        return False
    first, last = (round(time / form.tick_seconds) for time in (pts_seconds, pts_seconds + duration_seconds))
    return (last - first) * form.tick_seconds < form.shortest_seconds
