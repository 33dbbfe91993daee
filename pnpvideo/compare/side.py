"""Write a comparison as one clip: source and results beside each other, each under its name."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pnpvideo.compare.clips import bytes_of, duration_of, labels_of, open_clips, size_within
from pnpvideo.compare.destination import Comparison, check_output
from pnpvideo.compare.options import ComparisonOptions
from pnpvideo.compare.runs import find_runs, span_of
from pnpvideo.compare.timeline import TOLERANCE
from pnpvideo.events import Notice, Progress, Report, log
from pnpvideo.video.clip import Clip, Colour, Frame
from pnpvideo.video.pixels import composite_over_white, resize
from pnpvideo.video.write import Writer

GAP = 8
"""Pixels between two clips."""
INK, PAPER = (236, 234, 230), (18, 19, 21)


def write_side_by_side(
    source: Path | str,
    results: Sequence[Path | str],
    output: Path | str,
    options: ComparisonOptions | None = None,
    *,
    report: Report = log,
) -> Comparison:
    """Write one clip of ``source`` and ``results`` beside each other, with the times and the sound of the source.

    Every format that ``translate`` writes is accepted. Results are scaled to the source's height, and aligned by time:
    at each frame of the source, they show their latest frame. One that ends before the source stays on its last frame;
    what goes on after the source's end is left out. A source that is a still stays, and the first result that moves
    gives the times. Memory does not grow with the length.

    Raises InputError, DecodeError, OptionError, OutputError and EncodeError.
    """
    options, paths = options or ComparisonOptions(), [Path(source), *(Path(result) for result in results)]
    check_output(Path(output), paths, options)
    span = options.frames or span_of(find_runs(paths[1:], [], report), report)
    clips, labels = open_clips(paths[0], paths[1:], span, report), labels_of(paths)
    lead = next((number for number, clip in enumerate(clips) if clip.info.kind != "still"), 0)
    cells = _cells(clips, labels, options.width, report)
    sheet = _sheet(cells, labels)
    info = dataclasses.replace(
        clips[lead].info, width=sheet.shape[1], height=sheet.shape[0], alpha=False, colour=Colour(), icc_profile=None
    )
    followers = [Follower(clip) for clip in clips]
    with Writer(output, info, overwrite=options.overwrite, span_seconds=clips[lead].span_seconds) as writer:
        for frame in followers[lead]:
            for cell, follower in zip(cells, followers, strict=True):
                picture = composite_over_white(follower.at(frame.pts_seconds))
                sheet[-cell.height :, cell.left : cell.left + cell.width] = resize(picture, (cell.width, cell.height))
            writer.append(sheet, frame.pts_seconds, frame.duration_seconds)
            report(Progress(stage="write", done=writer.frames, total=clips[lead].info.frames or 0, unit="frame"))
        for label, follower in zip(labels, followers, strict=True):
            if follower.has_more:
                report(Notice(message=f"{label} goes on when {labels[lead]} ends; the rest of it is left out"))
            elif follower.ended and not follower.is_still:
                report(Notice(message=f"{label} ends before {labels[lead]} and stays on its last frame"))
    return Comparison(output=writer.path, bytes=bytes_of(writer.path), moments=writer.frames)


class Follower:
    """The frames of a clip by time, for times that only grow. Iterating over it leads: it goes on frame by frame."""

    def __init__(self, clip: Clip) -> None:
        self._clip, self._frames = clip, clip.frames()
        self._before: Frame | None = None
        self._shown, self._next = next(self._frames), next(self._frames, None)
        self.ended = False
        """Whether a picture was asked for after the end of the clip."""

    @property
    def has_more(self) -> bool:
        """Whether frames follow that no time reached."""
        return self._next is not None

    @property
    def is_still(self) -> bool:
        """Whether the clip is a single frame, as far as is known."""
        return self._before is None and self._next is None

    def at(self, seconds: Fraction) -> np.ndarray:
        """The latest picture that has begun at ``seconds``, or will within TOLERANCE of a frame."""
        while self._next is not None:
            step = self._next.pts_seconds - self._shown.pts_seconds
            if self._next.pts_seconds - TOLERANCE * step > seconds:
                break
            self._advance()
        if self._next is None:
            shown = duration_of(self._shown, self._before, self._clip)
            self.ended = self.ended or seconds >= self._shown.pts_seconds + shown
        return self._shown.pixels

    def __iter__(self) -> Iterator[Frame]:
        yield self._shown
        while self._next is not None:
            self._advance()
            yield self._shown

    def _advance(self) -> None:
        assert self._next is not None
        self._before, self._shown, self._next = self._shown, self._next, next(self._frames, None)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Where a clip stands in the picture: its left edge and its size, in pixels."""

    left: int
    width: int
    height: int


def _cells(clips: Sequence[Clip], labels: Sequence[str], widest: int | None, report: Report) -> list[Cell]:
    """Cells from left to right, all as high as the source, which ``widest`` limits in width."""
    height = _even(size_within(clips[0].info.width, clips[0].info.height, widest)[1])
    cells = list[Cell]()
    for clip, label in zip(clips, labels, strict=True):
        width = _even(clip.info.width * height / clip.info.height)
        if abs(clip.info.height - height) > 1:
            sizes = f"{clip.info.width} x {clip.info.height}, shown at {width} x {height}"
            report(Notice(message=f"{label} is {sizes}"))
        cells.append(Cell(left=cells[-1].left + cells[-1].width + GAP if cells else 0, width=width, height=height))
    return cells


def _sheet(cells: Sequence[Cell], labels: Sequence[str]) -> np.ndarray:
    """The picture without the clips, (h, w, 3) uint8: the labels above their cells. Both sides are even."""
    band = _even(min(64, max(18, cells[0].height / 14)))
    picture = Image.new("RGB", (cells[-1].left + cells[-1].width, band + cells[0].height), PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(0.55 * band)
    for cell, label in zip(cells, labels, strict=True):
        text = label
        while len(text) > 1 and draw.textlength(text, font) > cell.width - band / 2:
            text = f"{text[:-2]}…"
        draw.text((cell.left + band / 4, band / 2), text, INK, font, anchor="lm")
    return np.array(picture)


def _even(length: float) -> int:
    """The nearest even number of pixels, which every video codec takes."""
    return max(2, 2 * round(length / 2))
