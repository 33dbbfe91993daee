"""Choose a few frames of a clip: spread evenly over its shots, or named by number or time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

from pnpvideo.errors import OptionError
from pnpvideo.video.clip import Clip, Frame, Shot
from pnpvideo.video.drawings import find_held_drawings
from pnpvideo.video.shots import shots

T = TypeVar("T")


@dataclass(frozen=True)
class ChosenFrames:
    """shots: the chosen frames by shot, in order. seconds: time of each frame, relative to the clip's first frame."""

    shots: tuple[Shot, ...]
    seconds: tuple[float, ...]

    @property
    def frames(self) -> tuple[Frame, ...]:
        return tuple(frame for shot in self.shots for frame in shot.frames)


@dataclass
class _Length:
    """What is learnt of a shot when the clip is read. shown: the number of the frame that a caption describes."""

    index: int
    shown: int
    frames: list[int] = field(default_factory=list)


def choose_frames(clip: Clip, wanted: int | Sequence[int | Fraction], window: int = 48) -> ChosenFrames:
    """Read a clip twice: for its shots and times, then for the chosen frames.

    wanted: how many frames, spread evenly over the shots, of which every one has a frame as long as there are enough;
    or which frames, as numbers counted from 0 or as times in seconds (the frame that is shown then). window: the
    option; a shot is captioned by the middle drawing of its first window, as a translation does. Raises OptionError for
    frames that the clip, or the part of it that is read, does not have.
    """
    lengths: list[_Length] = []
    times: dict[int, Fraction] = {}
    begins = clip.span_seconds[0] if clip.span_seconds else Fraction(0)
    for shot in shots(clip.frames(), window):
        if shot.part == 0:
            drawings = find_held_drawings(shot).frames
            lengths.append(_Length(shot.index, drawings[len(drawings) // 2].index))
        for frame in shot.frames:
            lengths[-1].frames.append(frame.index)
            times[frame.index] = begins + frame.pts_seconds
        del shot
    by_shot = [length.frames for length in lengths]
    numbers = _spread(wanted, by_shot) if isinstance(wanted, int) else _at(wanted, times)
    shown = {length.shown for length in lengths}
    read = {frame.index: frame for frame in _only(clip.frames(), {*numbers, *shown})}
    chosen = []
    for length in lengths:
        frames = tuple(read[index] for index in length.frames if index in numbers)
        if frames:
            chosen.append(Shot(length.index, frames, shown=read[length.shown]))
    seconds = tuple(float(times[frame.index]) for shot in chosen for frame in shot.frames)
    return ChosenFrames(tuple(chosen), seconds)


class Source(Protocol[T]):
    """What there is one of for each frame of a clip, in order: masks, or conditions."""

    def take(self, count: int) -> list[T]: ...


class ChosenOnly(Generic[T]):
    """What belongs to the chosen frames alone. whole: of all frames of the clip, in order."""

    def __init__(self, whole: Source[T], clip: Clip, chosen: ChosenFrames) -> None:
        first = clip.span[0] if clip.span else 0
        self._whole, self._read = whole, 0
        self._positions = iter([frame.index - first for frame in chosen.frames])

    def take(self, count: int) -> list[T]:
        """What belongs to the next ``count`` chosen frames."""
        found: list[T] = []
        for _ in range(count):
            position = next(self._positions)
            for _ in range(self._read, position):
                self._whole.take(1)
            found += self._whole.take(1)
            self._read = position + 1
        return found


def _only(frames: Iterable[Frame], numbers: set[int]) -> Iterator[Frame]:
    last = max(numbers)
    for frame in frames:
        if frame.index in numbers:
            yield frame
        if frame.index >= last:
            return


def _at(wanted: Sequence[int | Fraction], times: dict[int, Fraction]) -> set[int]:
    first, last = min(times), max(times)
    chosen = set()
    for place in wanted:
        if isinstance(place, Fraction):
            number = max((index for index, time in times.items() if time <= place), default=-1)
            spare = (times[last] - times[first]) / max(1, last - first) or Fraction(
                1
            )  # the last frame is shown so long
            if number < 0 or place >= times[last] + spare:
                raise OptionError(
                    f"at is {float(place):g}s; the frames that are read are shown from {float(times[first]):g}s to "
                    f"{float(times[last]):g}s"
                )
        else:
            number = place
        if number not in times:
            raise OptionError(f"at is {number}; the frames that are read are {first} to {last}")
        chosen.add(number)
    return chosen


def _spread(count: int, frames: Sequence[Sequence[int]]) -> set[int]:
    """Frames in the middles of ``count`` equal parts: of each shot if there are enough, else of the clip."""
    if count < len(frames):
        return _middles(count, [index for each in frames for index in each])
    share = [1] * len(frames)
    for _ in range(count - len(frames)):  # the next one to the shot with the longest parts
        longest = max(range(len(frames)), key=lambda shot: (len(frames[shot]) / share[shot], -shot))
        share[longest] += 1
    return set().union(*(_middles(number, each) for number, each in zip(share, frames, strict=True)))


def _middles(count: int, frames: Sequence[int]) -> set[int]:
    count = min(count, len(frames))
    return {frames[(2 * part + 1) * len(frames) // (2 * count)] for part in range(count)}
