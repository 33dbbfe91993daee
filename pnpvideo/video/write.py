"""One way out: frames and their times become a file that appears only when it is complete."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from pnpvideo.errors import EncodeError, OutputError
from pnpvideo.publish import Publication
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.destination import check_existing, check_output, resolve
from pnpvideo.video.encoder import Encoder
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.formats import BACKGROUND, Format
from pnpvideo.video.sheets import FrameFolder, StillFile, WebPFile

DEFAULT_FPS = Fraction(25)  # of a single frame whose source states no rate


class Sink(Protocol):
    """What takes the frames of one format, each with its time and its duration."""

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...


class Writer:
    """Writes mp4, m4v, mov, mkv, webm, GIF, APNG, WebP, PNG, JPEG, or a folder of PNGs, by the path's extension.

    A context manager: leaving it normally publishes the result, leaving it by an exception leaves nothing behind, and
    what was there before stays (see Publication).

    info: of the source (size, colour tags, sound, loop, clock). span_seconds: ``Clip.span_seconds``, to which the
    sound is trimmed. Sound is copied; codecs that the container cannot hold become AAC, or Opus in WebM. Alpha that
    the output cannot carry is composited over white. OutputError: see ``check_output``.
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
        self.path, self._form = resolve(path)
        self._publication, self._overwrite = Publication(self.path), overwrite
        try:
            check_existing(self.path, self._form, overwrite)  # another run may have ended since the first check
        except OutputError:
            self._publication.discard()
            raise
        self._info, self._span_seconds = info, span_seconds
        self._building = self._publication.path
        self._sink: Sink | None = None
        self._waiting: tuple[np.ndarray, Fraction, Fraction | None] | None = None
        self._step = 1 / (info.fps or DEFAULT_FPS)
        self._channels = 0
        self._done = False
        self.frames = 0

    def append(
        self, pixels: np.ndarray, pts_seconds: Fraction | float, duration_seconds: Fraction | float | None = None
    ) -> None:
        """pixels: (h, w, 3) RGB or (h, w, 4) RGBA uint8 at the clip's display size, the same for all frames.

        Times must increase. Without a duration a frame lasts until the next one, the last one as long as the one
        before it. EncodeError: the encoder failed; OutputError: a frame of another size, or out of order.
        """
        if self._done:
            raise OutputError(f"{self._named()} is closed; no frame can be appended")
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
            self._step = time - self._waiting[1]
            self._put(self._waiting[0], self._waiting[1], self._step)
        self._waiting = pixels.copy(), time, None if duration_seconds is None else Fraction(duration_seconds)
        self.frames += 1

    def close(self) -> None:
        """Finishes the file and gives it its name. EncodeError: it is not complete; nothing was written."""
        if self._done:
            return
        try:
            if self._waiting is None:
                raise EncodeError(f"{self._named()}: no frame was appended; nothing was written")
            pixels, time, duration = self._waiting
            self._put(pixels, time, duration or self._step)
            assert self._sink is not None
            self._finish(self._sink)
        except BaseException:
            self.abort()
            raise
        self._done = True

    def abort(self) -> None:
        """Stops and removes what was built; nothing appears under the final name."""
        if self._done:
            return
        self._done = True
        try:
            if self._sink is not None:
                self._sink.abort()
        finally:
            self._publication.discard()

    def _put(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        if pixels.shape[2] == 4 and not self._form.alpha:
            pixels = over_background(pixels)
        if self._form.shortest_seconds is not None and _rounded(self._form, pts_seconds, duration_seconds):
            raise OutputError(
                f"{self._named()}: the frame at {float(pts_seconds):.3f} s lasts {float(duration_seconds):.4f} s, "
                f"less than viewers honour ({float(self._form.shortest_seconds):g} s); name another format"
            )
        try:
            if self._sink is None:
                self._sink = self._open(pixels.shape[2])
            self._sink.append(pixels, pts_seconds, duration_seconds)
        except OSError as error:
            raise EncodeError(f"{self._named()} cannot be written: {error.strerror or error}") from error

    def _open(self, channels: int) -> Sink:
        if self._form.route == "folder":
            return FrameFolder(self._building)
        if self._form.route == "still":
            return StillFile(self._building, self._form.muxer, self._info)
        if self._form.route == "webp":
            return WebPFile(self._building, self._info, channels == 4)
        return Encoder(self._building, self._form, self._info, channels, self._span_seconds)

    def _finish(self, sink: Sink) -> None:
        try:
            sink.finish()
            check_existing(self.path, self._form, self._overwrite)
            self._publication.publish(overwrite=self._overwrite)
        except OSError as error:
            raise EncodeError(f"{self._named()} cannot be written: {error.strerror or error}") from error

    def _named(self) -> str:
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


def _rounded(form: Format, pts_seconds: Fraction, duration_seconds: Fraction) -> bool:
    """Does a frame fall below the shortest time that counts, once its ends are on the format's clock?"""
    assert form.tick_seconds is not None and form.shortest_seconds is not None
    first, last = (round(time / form.tick_seconds) for time in (pts_seconds, pts_seconds + duration_seconds))
    return (last - first) * form.tick_seconds < form.shortest_seconds


def over_background(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 4) straight alpha over BACKGROUND: (h, w, 3) uint8."""
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = pixels[..., :3] * alpha + np.array(BACKGROUND, np.uint16) * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
