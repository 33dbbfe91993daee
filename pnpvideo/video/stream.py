"""Read a video file: its frames and their times, decoded by ffmpeg in one sequential pass."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from pnpvideo.errors import DecodeError
from pnpvideo.events import Notice
from pnpvideo.video import mp4_duration, tracks
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.decode_pass import TIMES_ONLY, RawFormat, decode
from pnpvideo.video.video_track import VideoTrack

HD_LINES = 720
"""From so many rows on, video without a colour matrix is BT.709, as players have it; with fewer, BT.601."""
STATES_DURATIONS = ("mov", "matroska")
"""Containers that state how long each frame is shown; of others ffmpeg guesses it."""
SHORTEST_SECONDS = Fraction(1, 30)
"""A last frame that is stated to last less, and less than its step, keeps its step: the file was cut within the frame,
or whoever wrote it stated a mere tick."""


@dataclass(frozen=True)
class VideoStream:
    """A video track of a video file as a source of frames."""

    track: VideoTrack

    @property
    def info(self) -> ClipInfo:
        return self.track.info

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Decode frames start to stop (exclusive), counted from 0; the first of them gets the time 0.

        The file's last frame has a duration, if the file states another one than the step before it. Raises DecodeError
        if the file is damaged or has fewer frames, unless partial results are allowed.
        """
        shape = (self.info.height, self.info.width, 4 if self.info.alpha else 3)
        times: list[Fraction] = []  # of the last two frames
        origin: Fraction | None = None
        waiting: Frame | None = None  # until it is known whether another one follows
        index = start - 1
        for index, pts_seconds, raw in decode(self.track, start, stop, self._raw_format(math.prod(shape))):
            origin = pts_seconds if origin is None else origin
            if waiting is not None:
                yield waiting
            waiting = Frame(index, pts_seconds - origin, np.frombuffer(raw, np.uint8).reshape(shape))
            times = [*times[-1:], pts_seconds]
        if waiting is not None and origin is not None:
            stated = self._stated_duration(times, origin) if start == 0 and stop is None else None
            yield replace(waiting, duration_seconds=stated)
        if stop is not None and index + 1 < stop:
            missing = f"{self.track.name}: frames {start}:{stop} were asked for, and decoding ended before {index + 1}"
            if not self.track.allow_partial:
                raise DecodeError(f"{missing}; --allow-partial keeps what can be read")
            self.track.report(Notice(message=missing))

    def edges(self, stop: int | None = None, stop_seconds: Fraction | None = None) -> list[Fraction]:
        """Times at which the frames begin, from 0 on, and at which the last of them ends. See ``Source.edges``.

        The last frame of a file lasts as long as the file states, else as long as the one before it; a single frame one
        period of the stated rate.
        """
        times: list[Fraction] = []
        for _, pts_seconds, _ in decode(self.track, 0, None if stop is None else stop + 1, TIMES_ONLY):
            times.append(pts_seconds)
            if stop_seconds is not None and pts_seconds - times[0] >= stop_seconds:
                break
        else:
            if stop is None or len(times) <= stop:
                times.append(times[-1] + (self._stated_duration(times, times[0]) or self._step_seconds(times)))
        return [pts_seconds - times[0] for pts_seconds in times]

    def _step_seconds(self, times: Sequence[Fraction]) -> Fraction:
        """From the last but one of these times to the last one; of a single one, a period of the stated rate."""
        return times[-1] - times[-2] if len(times) > 1 else self.track.period_seconds

    def _stated_duration(self, times: Sequence[Fraction], first: Fraction) -> Fraction | None:
        """How long the file's last frame is shown, if the file states another duration than the step before it.

        times: at which frames begin, up to the last one. first: at which the first one does. Reads the file again,
        without decoding.
        """
        if self.track.demuxer not in STATES_DURATIONS:
            return None
        (packets,) = tracks.read_packets(
            self.track.path, self.track.demuxer, [self.track.index], patience_seconds=self.track.patience_seconds
        )
        stated, step = packets.last_duration_seconds, self._step_seconds(times)
        tick = self.info.time_base or Fraction(0)
        if packets.last_seconds != times[-1]:
            return None
        if self.track.demuxer == "mov" and not packets.ends_in_order:
            end = mp4_duration.track_end(self.track.path, self.track.index)
            if end is None:
                return None
            stated, tick = end[0] - self.info.first_pts_seconds - (times[-1] - first), max(tick, end[1])
        if stated < min(step, SHORTEST_SECONDS):
            return None
        return stated if abs(stated - step) > tick else None

    def _raw_format(self, frame_bytes: int) -> RawFormat:
        scale = f"scale={self.info.width}:{self.info.height}:flags=bicubic+accurate_rnd+full_chroma_int"
        if self.info.colour.matrix is None and self.track.stored_size[1] >= HD_LINES:
            scale += ":in_color_matrix=bt709"  # else ffmpeg assumes BT.601
        return RawFormat(
            filters=(*self.track.tone_filters, scale),
            pixel_format="rgba" if self.info.alpha else "rgb24",
            frame_bytes=frame_bytes,
        )
