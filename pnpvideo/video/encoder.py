"""Encode with ffmpeg: raw frames and their times go in through a pipe, sound and subtitles come from the source."""

import math
import os
import re
import select
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np

from pnpvideo.errors import EncodeError
from pnpvideo.video import container_writers, ffmpeg
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.codec_arguments import audio_arguments, picture_arguments, subtitle_arguments, subtitle_encoders
from pnpvideo.video.formats import Format

TICKS_PER_SECOND = 90_000
"""Clock of the output if the source has none of its own."""
MOST_TICKS_PER_SECOND = 2**31 - 1
FLUSH_SECONDS = 900.0
"""Time limit for the encoder to finish after its last frame."""
PATIENCE_SECONDS = 300.0
"""Time limit for the encoder to take one frame."""


class Encoder:
    """An ffmpeg process that writes ``path``, which it may overwrite.

    channels: 3 or 4, of every frame. span_seconds: start and end of the span that the frames are of, see ``Clip``.
    """

    def __init__(
        self,
        path: Path,
        form: Format,
        info: ClipInfo,
        channels: int,
        span_seconds: tuple[Fraction, Fraction] | None,
    ) -> None:
        self._path, self._form = path, form
        self._count = 0
        self._last_duration_seconds = Fraction(0)
        self._child = ffmpeg.Child(_arguments(path, form, info, channels == 4, span_seconds), stdin=True, stdout=True)
        if os.name == "posix" and self._child.process.stdin is not None:
            os.set_blocking(self._child.process.stdin.fileno(), False)  # a write takes what fits, and returns
        self._send(container_writers.matroska_header(info.width, info.height, channels))

    def append(self, pixels: np.ndarray, pts_seconds: Fraction, duration_seconds: Fraction) -> None:
        """Encode one frame (h, w, channels) uint8. Raises EncodeError if ffmpeg failed or hangs."""
        self._send(container_writers.matroska_block(pts_seconds, duration_seconds, pixels.nbytes))
        self._send(np.ascontiguousarray(pixels).data.cast("B"))
        self._count += 1
        self._last_duration_seconds = duration_seconds

    def finish(self) -> None:
        """Complete the file. Raises EncodeError if ffmpeg failed, or did not encode exactly the frames that it got."""
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
                why = ffmpeg.summarise_errors(self._child.errors())
                raise EncodeError(f"ffmpeg failed with status {status}: {why}")
            if not counted or int(counted[-1]) != self._count:
                encoded = int(counted[-1]) if counted else 0
                raise EncodeError(f"ffmpeg encoded {encoded} frames of {self._count}; nothing was written")
        if self._form.muxer == "apng":
            container_writers.set_last_apng_delay(self._path, self._last_duration_seconds)

    def abort(self) -> None:
        """Stop ffmpeg; the file is left as it is."""
        self._child.stop()
        if self._child.process.stdout is not None:
            self._child.process.stdout.close()

    def _send(self, data: bytes | memoryview) -> None:
        """Wait while ffmpeg is busy. Raises EncodeError if it takes nothing for PATIENCE_SECONDS, or has ended."""
        pipe = self._child.process.stdin
        assert pipe is not None
        rest = memoryview(data)
        try:
            while rest:
                if os.name == "posix" and not select.select([], [pipe], [], PATIENCE_SECONDS)[1]:
                    raise EncodeError(
                        f"ffmpeg hangs at frame {self._count}: it took nothing for {PATIENCE_SECONDS:g} s"
                    )
                rest = rest[pipe.write(rest) or 0 :]
        except OSError as error:
            status = self._child.wait(FLUSH_SECONDS)
            why = ffmpeg.summarise_errors(self._child.errors())
            raise EncodeError(f"ffmpeg ended with status {status} at frame {self._count}: {why}") from error


def _arguments(
    path: Path, form: Format, info: ClipInfo, alpha: bool, span_seconds: tuple[Fraction, Fraction] | None
) -> list[str]:
    ticks = _ticks_per_second(info)
    clock = form.tick_seconds if form.muxer == "gif" and form.tick_seconds else Fraction(1, ticks)
    lead_seconds = _lead_seconds(info) if span_seconds is None else Fraction(0)
    arguments = ["-v", "error", "-progress", "pipe:1", "-stats_period", "3600", "-y", "-copyts"]
    arguments += ["-itsoffset", f"{float(lead_seconds):.6f}", "-f", "matroska", "-i", "pipe:0"]
    from_source: list[str] = []
    if info.container is not None and info.path is not None and form.audio:
        # With -copyts all times are the container's own. Sound is moved as far as the pictures are, to stay in sync.
        start_seconds = Fraction(0) if span_seconds is None else span_seconds[0]
        arguments += ["-itsoffset", f"{float(lead_seconds - info.first_pts_seconds - start_seconds):.6f}"]
        arguments += ffmpeg.input_arguments(info.path, info.container)
        from_source = _source_tracks(form, info, span_seconds)
    if form.audio:  # without a tag, our track would count as English, which is Matroska's default
        from_source += ["-metadata:s:v:0", f"language={info.language or 'und'}"]
    if form.muxer != "gif":  # whose filter graph names its own input
        arguments += ["-map", "0:v"]
    arguments += [
        *picture_arguments(form, info.width, info.height, alpha, info.colour, ticks),
        *("-fps_mode", "passthrough", "-enc_time_base:v", f"{clock.numerator}:{clock.denominator}"),
        *from_source,
    ]
    if form.muxer == "gif":  # -1 plays once, 0 forever, n repeats n times
        arguments += ["-loop", str(-1 if info.loop == 1 else max(0, (info.loop or 0) - 1))]
    if form.muxer == "apng":
        arguments += ["-plays", str(info.loop or 0)]
    if form.muxer in ("matroska", "webm"):  # else the file has random identifiers, and no two runs write the same bytes
        arguments += ["-fflags", "+bitexact"]
    return [*arguments, "-f", form.muxer, ffmpeg.file_url(path)]


def _source_tracks(form: Format, info: ClipInfo, span_seconds: tuple[Fraction, Fraction] | None) -> list[str]:
    """Options for what comes from the source: metadata, sound and subtitles.

    Of a span, no chapters, subtitles or timecode, which would be those of other frames.
    """
    arguments = ["-map_metadata", "1", "-map_chapters", "1" if span_seconds is None else "-1"]
    if info.timecode is not None:
        arguments += ["-metadata", f"timecode={info.timecode if span_seconds is None else ''}"]
    sound = audio_arguments(form, info.audio)
    if span_seconds is not None and sound:  # drop the packets before the span; an edit list would only hide them
        length = span_seconds[1] - span_seconds[0]
        arguments += ["-copypriorss:a", "0", "-ss", "0", "-t", f"{float(length):.6f}"]
    codecs = [track.codec for track in info.subtitles]
    return [*arguments, *sound, *subtitle_arguments(subtitle_encoders(form, codecs, span_seconds is not None))]


def _ticks_per_second(info: ClipInfo) -> int:
    """A clock on which all of the clip's times fall: the source's own, or one that the frame rate divides."""
    if info.time_base is not None and info.time_base.denominator <= MOST_TICKS_PER_SECOND:
        return info.time_base.denominator
    if info.fps is not None and not info.variable_rate and info.fps.numerator <= TICKS_PER_SECOND:
        return info.fps.numerator * math.ceil(1000 / info.fps.numerator)
    return TICKS_PER_SECOND


def _lead_seconds(info: ClipInfo) -> Fraction:
    """Time from the start of the file, where sound may begin, to its first frame."""
    if not info.audio:
        return Fraction(0)
    lead = info.first_pts_seconds - max(info.container_start_seconds, Fraction(0))
    return max(Fraction(0), lead)
