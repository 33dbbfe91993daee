"""The ffmpeg process that encodes: raw frames and their times go in through one pipe, sound comes from the source."""

import math
import os
import re
import select
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np

from pnpvideo.errors import EncodeError
from pnpvideo.video import apng, ffmpeg, matroska
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.formats import (
    Format,
    audio_arguments,
    picture_arguments,
    subtitle_arguments,
    subtitle_encoders,
)

TICKS = 90_000  # a second, where the source has no clock of its own
MOST_TICKS = 2**31 - 1
FLUSH_SECONDS = 900.0  # for the encoder to finish after its last frame
PATIENCE_SECONDS = 300.0  # for the encoder to take one frame


class Encoder:
    """Encodes to ``path``, which it may overwrite. ``channels``: 3 or 4, of every frame."""

    def __init__(
        self,
        path: Path,
        form: Format,
        info: ClipInfo,
        channels: int,
        span_seconds: tuple[Fraction, Fraction] | None,
    ) -> None:
        self._path, self._form = path, form
        self._appended = 0
        self._last_duration = Fraction(0)
        self._child = ffmpeg.Child(_arguments(path, form, info, channels == 4, span_seconds), stdin=True, stdout=True)
        if os.name == "posix" and self._child.process.stdin is not None:
            os.set_blocking(self._child.process.stdin.fileno(), False)  # so that a write takes what fits, no more
        self._send(matroska.header(info.width, info.height, channels))

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        self._send(matroska.block(pts_seconds, duration_seconds, pixels.nbytes))
        self._send(np.ascontiguousarray(pixels).data.cast("B"))
        self._appended += 1
        self._last_duration = duration_seconds

    def finish(self) -> None:
        """EncodeError where ffmpeg failed, or did not encode exactly the frames that it was given."""
        with self._child:
            stdin, stdout = self._child.process.stdin, self._child.process.stdout
            assert stdin is not None and stdout is not None
            stdin.close()
            try:
                status = self._child.wait(FLUSH_SECONDS)
            except subprocess.TimeoutExpired:
                raise EncodeError(f"ffmpeg hangs after the last frame; stopped after {FLUSH_SECONDS:g} s") from None
            with stdout:
                counted = re.findall(rb"^frame=\s*(\d+)$", stdout.read(), re.MULTILINE)
            if status != 0:
                raise EncodeError(f"ffmpeg failed with status {status}: {ffmpeg.last_words(self._child.errors())}")
            if not counted or int(counted[-1]) != self._appended:
                encoded = int(counted[-1]) if counted else 0
                raise EncodeError(f"ffmpeg encoded {encoded} frames of {self._appended}; nothing was written")
        if self._form.muxer == "apng":
            apng.set_last_delay(self._path, self._last_duration)

    def abort(self) -> None:
        self._child.stop()
        if self._child.process.stdout is not None:
            self._child.process.stdout.close()

    def _send(self, data: bytes | memoryview) -> None:
        """Waits while ffmpeg is busy; EncodeError when it takes nothing for PATIENCE_SECONDS, or has ended."""
        pipe = self._child.process.stdin
        assert pipe is not None
        left = memoryview(data)
        try:
            while left:
                if os.name == "posix" and not select.select([], [pipe], [], PATIENCE_SECONDS)[1]:
                    raise EncodeError(
                        f"ffmpeg hangs at frame {self._appended}: it took nothing for {PATIENCE_SECONDS:g} s"
                    )
                left = left[pipe.write(left) or 0 :]
        except OSError as error:
            status = self._child.wait(FLUSH_SECONDS)
            said = ffmpeg.last_words(self._child.errors())
            raise EncodeError(f"ffmpeg ended with status {status} at frame {self._appended}: {said}") from error


def _arguments(
    path: Path, form: Format, info: ClipInfo, alpha: bool, span_seconds: tuple[Fraction, Fraction] | None
) -> list[str]:
    ticks = _ticks(info)
    clock = form.tick_seconds if form.muxer == "gif" and form.tick_seconds else Fraction(1, ticks)
    lead = _lead_seconds(info) if span_seconds is None else Fraction(0)
    arguments = ["-v", "error", "-progress", "pipe:1", "-stats_period", "3600", "-y", "-copyts"]
    arguments += ["-itsoffset", f"{float(lead):.6f}", "-f", "matroska", "-i", "pipe:0"]
    from_source: list[str] = []
    if info.container is not None and info.path is not None and form.audio:
        # With -copyts all times are the container's own: moved as far as the pictures are, sound stays beside them.
        start = Fraction(0) if span_seconds is None else span_seconds[0]
        arguments += ["-itsoffset", f"{float(lead - info.first_pts_seconds - start):.6f}"]
        arguments += ffmpeg.input_arguments(info.path, info.container)
        from_source = ["-map_metadata", "1", "-map_chapters", "1" if span_seconds is None else "-1"]
        sound = audio_arguments(form, [track.codec for track in info.audio])
        if span_seconds is not None and sound:  # packets before the span are dropped, not hidden by an edit list
            length = span_seconds[1] - span_seconds[0]
            from_source += ["-copypriorss:a", "0", "-ss", "0", "-t", f"{float(length):.6f}"]
        from_source += sound
        codecs = [track.codec for track in info.subtitles]
        from_source += subtitle_arguments(subtitle_encoders(form, codecs, span_seconds is not None))
    if form.audio:  # without it, our own stream would count as English, which is Matroska's default
        from_source += ["-metadata:s:v:0", f"language={info.language or 'und'}"]
    if form.muxer != "gif":  # whose filter graph names its own input
        arguments += ["-map", "0:v"]
    arguments += [
        *picture_arguments(form, info.width, info.height, alpha, info.colour, ticks),
        *("-fps_mode", "passthrough", "-enc_time_base:v", f"{clock.numerator}:{clock.denominator}"),
        *from_source,
    ]
    if form.muxer == "gif":  # -1 plays once, 0 for ever, n repeats n times
        arguments += ["-loop", str(-1 if info.loop == 1 else max(0, (info.loop or 0) - 1))]
    if form.muxer == "apng":
        arguments += ["-plays", str(info.loop or 0)]
    return [*arguments, "-f", form.muxer, ffmpeg.file_url(path)]


def _ticks(info: ClipInfo) -> int:
    """Ticks a second of a clock on which all the clip's times fall: the source's own, else the frame rate's."""
    if info.time_base is not None and info.time_base.denominator <= MOST_TICKS:
        return info.time_base.denominator
    if info.fps is not None and not info.variable_rate and info.fps.numerator <= TICKS:
        return info.fps.numerator * math.ceil(1000 / info.fps.numerator)
    return TICKS


def _lead_seconds(info: ClipInfo) -> Fraction:
    """How long after the start of the file, where sound may begin, its first frame is shown."""
    if not info.audio:
        return Fraction(0)
    lead = info.first_pts_seconds - max(info.container_start_seconds, Fraction(0))
    return max(Fraction(0), lead)
