"""One way in: a path becomes a clip, described at once, decoded lazily."""

import dataclasses
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Event, Notice, Report, ignore
from pnpvideo.video.clip import MAX_FRAMES, AudioTrack, Clip, ClipInfo, Frame
from pnpvideo.video.drawings import count
from pnpvideo.video.ffmpeg import printable
from pnpvideo.video.scrub import Scrubbed
from pnpvideo.video.shots import cuts
from pnpvideo.video.source import Source, open_source

PATIENCE_SECONDS = 60.0


def read(
    path: str | Path,
    *,
    span: tuple[int, int | None] | None = None,
    decoder: str = "ffmpeg",
    track: int | None = None,
    allow_partial: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
    report: Report = ignore,
) -> Clip:
    """Opens a video (see ``containers``), an animation or a still (see ``picture_formats``) or a folder of stills.

    span: frames (start, stop) to deliver, half-open, counted from 0; stop None: to the end. A video is decoded
        once beforehand for the exact times of its span.
    decoder: "ffmpeg", or "decord" (videos only), whose frames' times are checked against ffmpeg's.
    track: picture track of a video, counted from 0; None: of those that move, the one that is flagged as default, else
        the longest.
    allow_partial: deliver the frames before the damage of a damaged video, and report the damage.
    patience_seconds: how long the decoder may stay silent before it is taken for hung and stopped.

    Frames are upright (rotation and EXIF orientation applied), at display size (sample aspect applied), 8 bits a
    channel. Deeper, grey and 4:4:4 sources are converted by their own tags, untagged YUV as BT.601; HDR and BT.2020
    become SDR in BT.709. What is converted so, read in part, or chosen among several tracks, is reported. InputError:
    not a regular file or folder, not a known format, beyond the limits, no such track, or a span that lies outside.
    DecodeError: recognised, but damaged.
    """
    if track is not None and track < 0:
        raise OptionError(f"track is {track}; accepted is a picture track's number, counted from 0")
    if decoder not in ("ffmpeg", "decord"):
        raise OptionError(f"decoder is {decoder!r}; accepted: ffmpeg, decord")
    start, stop = span or (0, None)
    if start < 0 or (stop is not None and stop <= start):
        raise OptionError(f"the span is {start}:{stop}; accepted is start:stop with 0 <= start < stop, counted from 0")
    if max(start, stop or 0) > MAX_FRAMES:
        raise OptionError(f"the span is {start}:{'' if stop is None else stop}; clips have up to {MAX_FRAMES} frames")
    source: Source = open_source(
        Path(path), track=track, allow_partial=allow_partial, patience_seconds=patience_seconds, report=_once(report)
    )
    if decoder == "decord":
        source = Scrubbed.of(source)
    if span is None:
        return Clip(info=source.info, open=source.frames)
    edges = source.edges(stop)
    found = len(edges) - 1
    if found < (start + 1 if stop is None else stop):
        raise InputError(
            f"{printable(str(path))} has {found} frames; the span {start}:{'' if stop is None else stop} lies beyond"
        )
    stop = found if stop is None else stop
    last = stop - 1
    info = dataclasses.replace(source.info, frames=stop - start, duration_seconds=edges[stop] - edges[start])
    return Clip(
        info=info,
        open=lambda: _ended(source.frames(start, stop), last, edges[last + 1] - edges[last]),
        span=(start, stop),
        span_seconds=(edges[start], edges[stop]),
    )


def _once(report: Report) -> Report:
    """Passes each notice on once, though a clip may be gone through several times."""
    said: set[str] = set()

    def pass_on(event: Event) -> None:
        if not isinstance(event, Notice) or event.message not in said:
            report(event)
        if isinstance(event, Notice):
            said.add(event.message)

    return pass_on


def _ended(frames: Iterator[Frame], last: int, duration_seconds: Fraction) -> Iterator[Frame]:
    """The frames of a span, the last of them with its duration, which the frame after the span has told."""
    for frame in frames:
        known = frame.index != last or frame.duration_seconds is not None
        yield frame if known else dataclasses.replace(frame, duration_seconds=duration_seconds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """Frames start to end (exclusive), counted from 0."""

    start: int
    end: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """What reading a clip to its end found.

    width, height: display size in pixels. fps: frames over duration where the rate varies; None for a still.
    duration_seconds: until the last frame ends; None for a still. audio: sound tracks. drawings: distinct drawings,
    neighbours that are all but identical counted once.
    """

    frames: int
    width: int
    height: int
    fps: Fraction | None
    variable_rate: bool
    duration_seconds: Fraction | None
    audio: tuple[AudioTrack, ...]
    shots: tuple[Span, ...]
    drawings: int


def probe(path: str | Path, *, track: int | None = None, allow_partial: bool = False, report: Report = ignore) -> Probe:
    """Reads the whole clip once and counts what ``read`` delivers. Options and errors as there."""
    clip = read(path, track=track, allow_partial=allow_partial, report=report)
    times: list[Fraction] = []
    starts = [0]

    def noted() -> Iterator[Frame]:
        for frame, cut in cuts(clip.frames()):
            if cut:
                starts.append(len(times))
            times.append(frame.pts_seconds)
            yield frame

    drawings = count(noted())
    info = clip.info if clip.info.kind != "video" else _timed(clip.info, times)
    return Probe(
        frames=len(times),
        width=info.width,
        height=info.height,
        fps=info.fps,
        variable_rate=bool(info.variable_rate),
        duration_seconds=info.duration_seconds,
        audio=info.audio,
        shots=tuple(Span(start=a, end=b) for a, b in itertools.pairwise([*starts, len(times)])),
        drawings=drawings,
    )


def _timed(info: ClipInfo, times: list[Fraction]) -> ClipInfo:
    """A video's rate and duration by its frames' own times. Steps that differ by rounding to the clock are one rate."""
    stated = info.fps or Fraction(25)
    if len(times) == 1:
        return dataclasses.replace(info, fps=stated, variable_rate=False, duration_seconds=1 / stated)
    steps = [after - before for before, after in itertools.pairwise(times)]
    clock = info.time_base or Fraction(0)
    variable = max(steps) - min(steps) > (clock if 4 * clock <= min(steps) else 0)
    fps = (len(times) - 1) / times[-1]
    if not variable and abs(fps - stated) < stated / 500:
        fps = stated
    duration = times[-1] + (steps[-1] if variable else 1 / fps)
    return dataclasses.replace(
        info, fps=len(times) / duration if variable else fps, variable_rate=variable, duration_seconds=duration
    )
