"""Open a path as a clip: described at once, decoded lazily."""

import dataclasses
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import InputError, OptionError, printable
from pnpvideo.events import Event, Notice, Report, ignore
from pnpvideo.video.clip import MAX_FRAMES, Clip, Frame
from pnpvideo.video.decord import DecordVideo
from pnpvideo.video.source import Source, open_source
from pnpvideo.video.span import Span, TimeSpan

PATIENCE_SECONDS = 60.0
"""How long a decoder may stay silent by default."""


def read(
    path: str | Path,
    *,
    span: Span | None = None,
    decoder: str = "ffmpeg",
    track: int | None = None,
    allow_partial: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
    report: Report = ignore,
) -> Clip:
    """Open a video (see ``containers``), an animation or a still (see ``picture_formats``), or a folder of stills.

    span: the frames to deliver, as (start, stop) or as a TimeSpan; None: all of them. With a span, a video is decoded
        once beforehand, to learn its exact times.
    decoder: "ffmpeg", or "decord" (videos only), whose frame times are checked against ffmpeg's.
    track: video track of a video, counted from 0. None: the track that is flagged as default, else the longest;
        tracks that hold a single picture are passed over where others move.
    allow_partial: deliver the frames before the damage of a damaged video, and report the damage.
    patience_seconds: how long the decoder may stay silent before it is stopped.

    Frames are upright (rotation and EXIF orientation are applied), at display size (the sample aspect ratio is
    applied), with 8 bits per channel, and of interlaced video whole ones, as many as the file has. Deeper, grey and
    4:4:4 sources are converted by their own colour tags, untagged YUV as BT.601, or BT.709 from 720 rows on, without a
    notice. Notices report HDR and BT.2020, which become SDR in BT.709; fields that become frames; ranges of values that
    had to be assumed; partial reads; and the choice among several tracks.

    Raises InputError if the path is no regular file or folder, its format is unknown, it exceeds the limits, it has no
    such track, or the span lies outside of it; DecodeError if it is damaged; OptionError for an option out of range.
    """
    if track is not None and track < 0:
        raise OptionError(f"track is {track}; accepted is a video track's number, counted from 0")
    if decoder not in ("ffmpeg", "decord"):
        raise OptionError(f"decoder is {decoder!r}; accepted: ffmpeg, decord")
    _check_span(span)
    source: Source = open_source(
        Path(path),
        track=track,
        allow_partial=allow_partial,
        patience_seconds=patience_seconds,
        report=without_repeats(report),
    )
    if decoder == "decord":
        source = DecordVideo.open(source)
    return Clip(info=source.info, open=source.frames) if span is None else _cut(source, span, printable(str(path)))


def _check_span(span: Span | None) -> None:
    """Raise OptionError for frame numbers out of range; a TimeSpan checks itself."""
    if span is None or isinstance(span, TimeSpan):
        return
    start, stop = span
    if start < 0 or (stop is not None and stop <= start):
        raise OptionError(f"the span is {start}:{stop}; accepted is start:stop with 0 <= start < stop, counted from 0")
    if max(start, stop or 0) > MAX_FRAMES:
        raise OptionError(f"the span is {start}:{'' if stop is None else stop}; clips have up to {MAX_FRAMES} frames")


def _cut(source: Source, span: Span, name: str) -> Clip:
    """The clip that delivers the frames of the span. Raises InputError if the span lies outside of the source."""
    if isinstance(span, TimeSpan):
        edges = source.edges(stop_seconds=span.stop_seconds)
        start, stop = _frames_in_time(span, edges, name)
    else:
        edges = source.edges(span[1])
        start, stop = _frames_by_number(span, len(edges) - 1, name)
    info = dataclasses.replace(source.info, frames=stop - start, duration_seconds=edges[stop] - edges[start])
    last_seconds = edges[stop] - edges[stop - 1]
    return Clip(
        info=info,
        open=lambda: _with_last_duration(source.frames(start, stop), stop - 1, last_seconds),
        span=(start, stop),
        span_seconds=(edges[start], edges[stop]),
    )


def _frames_by_number(span: tuple[int, int | None], count: int, name: str) -> tuple[int, int]:
    start, stop = span
    if count < (start + 1 if stop is None else stop):
        raise InputError(f"{name} has {count} frames; the span {start}:{'' if stop is None else stop} lies beyond")
    return start, count if stop is None else stop


def _frames_in_time(span: TimeSpan, edges: Sequence[Fraction], name: str) -> tuple[int, int]:
    """The frames (start, stop) that begin within the span.

    edges: the times at which frames begin, then the time at which the last of them ends. That end is derived from
    times that containers round, so the span may exceed it by half a frame.
    """
    begins, end = edges[:-1], edges[-1]
    latest = end + (end - begins[-1]) / 2
    if span.start_seconds >= end or (span.stop_seconds is not None and span.stop_seconds > latest):
        raise InputError(f"{name} lasts {float(end):.3f} s; the span {span} lies beyond")
    start = bisect_left(begins, span.start_seconds)
    stop = len(begins) if span.stop_seconds is None else bisect_left(begins, span.stop_seconds)
    if start == stop:
        raise InputError(
            f"{name}: no frame begins in the span {span}; frame {start - 1} is shown from "
            f"{float(edges[start - 1]):.3f} s to {float(edges[start]):.3f} s"
        )
    return start, stop


def without_repeats(report: Report) -> Report:
    """Pass each notice on once, although a clip may be decoded several times."""
    reported: set[str] = set()

    def pass_on(event: Event) -> None:
        if not isinstance(event, Notice) or event.message not in reported:
            report(event)
        if isinstance(event, Notice):
            reported.add(event.message)

    return pass_on


def _with_last_duration(frames: Iterator[Frame], last: int, duration_seconds: Fraction) -> Iterator[Frame]:
    """The frames of a span, the last one with its duration, which is known from the frame after the span."""
    for frame in frames:
        is_known = frame.index != last or frame.duration_seconds is not None
        yield frame if is_known else dataclasses.replace(frame, duration_seconds=duration_seconds)
