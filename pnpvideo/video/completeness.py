"""Whether a video that decoded without an error has all its frames: by the rhythm of its times and its stated length.

A container whose blocks are lost in whole decodes well, so this is all there is to see. It tells of what is likely, for
a notice, and is not asked of containers that cannot lose a frame so: MP4 and MOV keep a table of all frames.
"""

from fractions import Fraction

from pnpvideo.video.clip import ClipInfo

FEWEST_STEPS = 10  # of which a rhythm can be told
MOST_HOLES = Fraction(1, 10)  # of all steps; a clip with more of them has a varying rate
_LOSING = ("mpegts", "mpeg", "matroska", "avi", "asf", "flv")
_STATING = ("matroska", "avi", "asf", "flv")  # whose stated duration was written down, and not guessed


class Completeness:
    """Is told each frame's time in order, in seconds; frames are counted from 0."""

    def __init__(self, info: ClipInfo) -> None:
        self._info = info
        self._step = None if info.fps is None else 1 / info.fps
        self._tolerance = max(info.time_base or Fraction(0), (self._step or Fraction(0)) / 20)
        self._first: Fraction | None = None
        self._last = Fraction(0)
        self._count = 0
        self._uneven = 0
        self._holes: list[int] = []  # frames before which other ones are missing
        self._missing = 0

    def add(self, pts_seconds: Fraction) -> None:
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
        """What speaks against it that these are all frames, as a clause; None where nothing does."""
        steps = self._count - 1
        if self._info.container not in _LOSING or self._step is None or steps < FEWEST_STEPS or self._uneven:
            return None
        if self._holes:
            if len(self._holes) > MOST_HOLES * steps:
                return None
            places = ", ".join(map(str, self._holes[:3])) + (" and others" if len(self._holes) > 3 else "")
            return f"its even rate has gaps, before frame {places}, in which {self._missing} frames seem to be missing"
        return self._short()

    def _short(self) -> str | None:
        """Sound may last longer than the pictures, so only of a silent clip."""
        stated, step = self._info.duration_seconds, self._step
        if self._info.container not in _STATING or self._info.audio or stated is None or step is None:
            return None
        length = self._last - (self._first or 0) + step + max(self._info.first_pts_seconds, Fraction(0))
        if stated - length <= 2 * step:
            return None
        return f"it states a length of {float(stated):.2f} s, but its frames end at {float(length):.2f} s"
