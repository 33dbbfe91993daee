"""Read a clip to its end and report what is in it."""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pnpvideo.events import Report, ignore
from pnpvideo.video.clip import AudioTrack, ClipInfo, Frame
from pnpvideo.video.drawings import count_drawings
from pnpvideo.video.read import read
from pnpvideo.video.shots import cuts


@dataclass(frozen=True, kw_only=True)
class ShotRange:
    """The frames of one shot: start to end (exclusive), counted from 0."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What is in a clip that was read to its end."""

    frames: int
    width: int
    """Display width in pixels."""
    height: int
    """Display height in pixels."""
    fps: Fraction | None
    """Frames per second; the mean if the rate varies, None for a still."""
    variable_rate: bool
    duration_seconds: Fraction | None
    """Until the last frame ends; None for a still."""
    audio: tuple[AudioTrack, ...]
    shots: tuple[ShotRange, ...]
    drawings: int
    """Distinct drawings: consecutive frames that are all but identical count once."""


def probe(path: str | Path, *, track: int | None = None, allow_partial: bool = False, report: Report = ignore) -> Probe:
    """Read the whole clip once and count what ``read`` delivers. Options and errors as in ``read``."""
    clip = read(path, track=track, allow_partial=allow_partial, report=report)
    times: list[Fraction] = []
    last: list[Fraction | None] = [None]
    starts = [0]

    def note_times() -> Iterator[Frame]:
        for frame, is_cut in cuts(clip.frames()):
            if is_cut:
                starts.append(len(times))
            times.append(frame.pts_seconds)
            last[0] = frame.duration_seconds
            yield frame

    drawings = count_drawings(note_times())
    info = _measure_rate(clip.info, times, last[0]) if clip.info.kind == "video" else clip.info
    return Probe(
        frames=len(times),
        width=info.width,
        height=info.height,
        fps=info.fps,
        variable_rate=bool(info.variable_rate),
        duration_seconds=info.duration_seconds,
        audio=info.audio,
        shots=tuple(ShotRange(start=a, end=b) for a, b in itertools.pairwise([*starts, len(times)])),
        drawings=drawings,
    )


def _measure_rate(info: ClipInfo, times: list[Fraction], last_seconds: Fraction | None) -> ClipInfo:
    """A video's rate and duration by the times of its frames. Steps that differ by one clock tick count as even.

    last_seconds: how long the last frame is shown; None: as long as the one before it.
    """
    stated = info.fps or Fraction(25)
    if len(times) == 1:
        return dataclasses.replace(info, fps=stated, variable_rate=False, duration_seconds=last_seconds or 1 / stated)
    steps = [after - before for before, after in itertools.pairwise(times)]
    clock = info.time_base or Fraction(0)
    variable = max(steps) - min(steps) > (clock if 4 * clock <= min(steps) else 0)
    fps = (len(times) - 1) / times[-1]
    if not variable and abs(fps - stated) < stated / 500:
        fps = stated
    duration = times[-1] + (last_seconds or (steps[-1] if variable else 1 / fps))
    return dataclasses.replace(
        info, fps=len(times) / duration if variable else fps, variable_rate=variable, duration_seconds=duration
    )
