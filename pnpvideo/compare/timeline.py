"""Align clips by time: the moments at which any of them changes, and the frame that each shows at each moment."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

TOLERANCE = Fraction(1, 4)
"""Frames that begin within this share of the shortest frame begin together: containers round times (GIF to 1/100 s)."""


@dataclass(frozen=True)
class Track:
    """When the frames of one clip begin, and when the last one ends, in seconds from the first one."""

    times: Sequence[Fraction]
    end_seconds: Fraction


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The moments of a comparison. The first clip is the source."""

    times: tuple[Fraction, ...]
    """In seconds, from 0 on."""
    end_seconds: Fraction
    """When the last clip ends."""
    shown: tuple[tuple[int, ...], ...]
    """For each clip, its frame at each moment. Before its end that is the latest one that has begun, then the last."""

    def own(self, clip: int) -> list[int]:
        """The moments at which another frame of this clip begins."""
        frames = self.shown[clip]
        return [0, *(moment for moment in range(1, len(frames)) if frames[moment] != frames[moment - 1])]


def align(tracks: Sequence[Track]) -> Timeline:
    """Merge the times of clips. Frames of one clip are never merged, so each of them is shown."""
    steps = [later - earlier for track in tracks for earlier, later in pairwise(track.times)]
    tolerance = TOLERANCE * min(steps) if steps else Fraction(0)
    times: list[Fraction] = []
    for time in sorted({time for track in tracks for time in track.times}):
        if not times or time - times[-1] > tolerance:
            times.append(time)
    shown = tuple(tuple(bisect_right(track.times, time + tolerance) - 1 for time in times) for track in tracks)
    end = max(track.end_seconds for track in tracks)
    return Timeline(times=tuple(times), end_seconds=max(end, times[-1]), shown=shown)


def differences(timeline: Timeline, tracks: Sequence[Track], labels: Sequence[str]) -> list[str]:
    """A sentence for each result whose frames do not pair with those of the source one by one."""
    source, said = tracks[0], list[str]()
    for number in range(1, len(tracks)):
        result, label = tracks[number], labels[number]
        if len(source.times) == 1 or len(result.times) == 1:
            if len(source.times) != len(result.times):
                still = labels[0] if len(source.times) == 1 else label
                said.append(f"{still} is a single picture and stays while the other clip moves")
            continue
        if timeline.own(0) == timeline.own(number):
            continue
        lengths = [f"{len(track.times)} frames in {float(track.end_seconds):.3f} s" for track in (result, source)]
        said.append(
            f"{label} has {lengths[0]}, {labels[0]} has {lengths[1]}: they are aligned by time, and the shorter one "
            "stays on its last frame"
        )
    return said
