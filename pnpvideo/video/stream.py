"""Read a video file: its frames and their times, decoded by ffmpeg in one sequential pass."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pnpvideo.errors import DecodeError
from pnpvideo.events import Notice
from pnpvideo.video.clip import ClipInfo, Frame
from pnpvideo.video.decode_pass import TIMES_ONLY, RawFormat, decode
from pnpvideo.video.video_track import VideoTrack


@dataclass(frozen=True)
class VideoStream:
    """A picture track of a video file as a source of frames."""

    track: VideoTrack

    @property
    def info(self) -> ClipInfo:
        return self.track.info

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Decode frames start to stop (exclusive), counted from 0; the first of them gets the time 0.

        Raises DecodeError if the file is damaged or has fewer frames, unless partial results are allowed.
        """
        shape = (self.info.height, self.info.width, 4 if self.info.alpha else 3)
        origin: Fraction | None = None
        index = start - 1
        for index, pts_seconds, raw in decode(self.track, start, stop, self._raw_format(math.prod(shape))):
            origin = pts_seconds if origin is None else origin
            yield Frame(index, pts_seconds - origin, np.frombuffer(raw, np.uint8).reshape(shape))
        if stop is not None and index + 1 < stop:
            missing = f"{self.track.name}: frames {start}:{stop} were asked for, and decoding ended before {index + 1}"
            if not self.track.allow_partial:
                raise DecodeError(f"{missing}; --allow-partial keeps what can be read")
            self.track.report(Notice(message=missing))

    def edges(self, stop: int | None = None, stop_seconds: Fraction | None = None) -> list[Fraction]:
        """Times at which the frames begin, from 0 on, and at which the last of them ends. See ``Source.edges``.

        The last frame of a file lasts as long as the one before it; a single frame lasts one period of the stated rate.
        """
        times: list[Fraction] = []
        for _, pts_seconds, _ in decode(self.track, 0, None if stop is None else stop + 1, TIMES_ONLY):
            times.append(pts_seconds)
            if stop_seconds is not None and pts_seconds - times[0] >= stop_seconds:
                break
        else:
            if stop is None or len(times) <= stop:
                step = times[-1] - times[-2] if len(times) > 1 else self.track.period_seconds
                times.append(times[-1] + step)
        return [pts_seconds - times[0] for pts_seconds in times]

    def _raw_format(self, frame_bytes: int) -> RawFormat:
        scale = f"scale={self.info.width}:{self.info.height}:flags=bicubic+accurate_rnd+full_chroma_int"
        return RawFormat(
            filters=(*self.track.tone_filters, scale),
            pixel_format="rgba" if self.info.alpha else "rgb24",
            frame_bytes=frame_bytes,
        )
