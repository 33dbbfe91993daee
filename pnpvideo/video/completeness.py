"""Notice missing frames in a video that decodes without an error, by the rhythm of its times and its stated duration.

A container that loses whole blocks still decodes well, so there is nothing else to go by. The result is a likelihood,
reported as a notice. MP4 and MOV are exempt: they keep a table of all frames, and cannot lose one this way.
"""

from fractions import Fraction

from pnpvideo.video.clip import ClipInfo

FEWEST_STEPS = 10
"""Steps between frames that it takes to know a rhythm."""
MOST_HOLES = Fraction(1, 10)
"""Share of the steps; a clip with more holes simply has a variable rate."""
_LOSES_BLOCKS = ("mpegts", "mpeg", "matroska", "avi", "asf", "flv")
_STATES_DURATION = ("matroska", "avi", "asf", "flv")  # as written by the muxer, not guessed by ffmpeg


class CompletenessCheck:
    """Collects the times of a clip's frames, in order, and says afterwards whether frames seem to be missing."""

    def __init__(self, info: ClipInfo) -> None:
        self._info = info
        self._step = None if info.fps is None else 1 / info.fps
        self._tolerance = max(info.time_base or Fraction(0), (self._step or Fraction(0)) / 20)
        self._first: Fraction | None = None
        self._last = Fraction(0)
        self._count = 0
        self._uneven = 0
        self._holes: list[int] = []  # frames that others are missing before
        self._missing = 0

    def add(self, pts_seconds: Fraction) -> None:
        """Add the time of the next frame."""
        if self._first is None:
            self._first = pts_seconds
        elif self._step is not None:
            step = pts_seconds - self._last
            periods = round(step / self._step)
            if abs(step - periods * self._step) > self._tolerance:
                self._uneven += 1
            elif periods > 1:
                self._holes.append(self._count)
                self._missing += periods - 1
        self._last = pts_seconds
        self._count += 1

    def doubt(self) -> str | None:
        """Why the clip may not be complete, as a clause for a message; None if it seems complete."""
        steps = self._count - 1
        if self._info.container not in _LOSES_BLOCKS or self._step is None or steps < FEWEST_STEPS or self._uneven:
            return None
        if self._holes:
            if len(self._holes) > MOST_HOLES * steps:
                return None
            places = ", ".join(map(str, self._holes[:3])) + (" and others" if len(self._holes) > 3 else "")
            return f"its even rate has gaps, before frame {places}, in which {self._missing} frames seem to be missing"
        return self._duration_doubt(self._step)

    def _duration_doubt(self, step: Fraction) -> str | None:
        """Compare with the stated duration, in clips without sound only: sound may last longer than pictures."""
        stated = self._info.duration_seconds
        if self._info.container not in _STATES_DURATION or self._info.audio or stated is None:
            return None
        length = self._last - (self._first or 0) + step + max(self._info.first_pts_seconds, Fraction(0))
        if stated - length <= 2 * step:
            return None
        return f"it states a length of {float(stated):.2f} s, but its frames end at {float(length):.2f} s"
