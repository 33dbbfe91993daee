"""Read edit masks from a still or a clip: white where the result may change, black where the source stays."""

import itertools
from pathlib import Path

import numpy as np

from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.video.clip import Clip, ClipInfo
from pnpvideo.video.pixels import to_grey
from pnpvideo.video.read import read, without_repeats
from pnpvideo.video.span import Span, TimeSpan


class Masks:
    """The masks of a clip's frames, in order, each (h, w) uint8 at the mask's own size. A still serves all frames.

    span: the part of the input that was asked for. A mask clip has as many frames as that part, or as the whole input;
    frames of the two belong together by number.

    A mask of another size than the clip's is reported, because it will be scaled. Raises OptionError if its aspect
    ratio or, as far as known beforehand, its number of frames does not fit the clip.
    """

    def __init__(self, path: Path, clip: Clip, span: Span | None, report: Report = ignore) -> None:
        self._path, report = path, without_repeats(report)
        mask = read(path, report=report)
        _check_size(path, mask.info, clip.info, report)
        self._still = to_grey(next(mask.frames()).pixels) if mask.info.kind == "still" else None
        if self._still is None and span is not None and clip.span is not None:
            mask = self._part(mask, clip.span, _is_open(span), report)
        elif self._still is None and mask.info.frames is not None and clip.info.frames is not None:
            self._check_count(mask.info.frames, clip.info.frames)
        frames = mask.frames() if self._still is None else iter(())
        self._rest = (to_grey(frame.pixels) for frame in frames)

    def _part(self, mask: Clip, span: tuple[int, int], to_end: bool, report: Report) -> Clip:
        """The frames of the mask that belong to the span of the input, which may end with the input."""
        start, stop = span
        if mask.info.frames is None:  # a video, whose frames are counted for a span
            mask = read(self._path, span=(0, None), report=report)
        count = mask.info.frames or 0
        if count == stop - start:
            return mask
        if count < stop or (to_end and count > stop):
            self._check_count(count, stop)
        return read(self._path, span=span, report=report)

    def _check_count(self, count: int, needed: int) -> None:
        if count != needed:
            which = "fewer" if count < needed else "more"
            raise OptionError(
                f"the mask {str(self._path)!r} has {which} frames than the input; a still serves all of them"
            )

    def take(self, count: int) -> list[np.ndarray]:
        """The masks of the next frames. Raises OptionError if there are fewer."""
        if self._still is not None:
            return [self._still] * count
        masks = list(itertools.islice(self._rest, count))
        self._check_count(len(masks), count)
        return masks

    def finish(self) -> None:
        """Raise OptionError if masks are left over."""
        if self._still is None and next(self._rest, None) is not None:
            self._check_count(1, 0)


def _is_open(span: Span) -> bool:
    return (span.stop_seconds if isinstance(span, TimeSpan) else span[1]) is None


def _check_size(path: Path, mask: ClipInfo, clip: ClipInfo, report: Report) -> None:
    """Raise OptionError for another aspect ratio, and report another size."""
    sizes = f"the mask {str(path)!r} is {mask.width} x {mask.height}, the input {clip.width} x {clip.height}"
    if not _same_aspect(mask, clip):
        raise OptionError(f"{sizes}: give a mask of the same aspect")
    if (mask.width, mask.height) != (clip.width, clip.height):
        report(Notice(message=f"{sizes}: it is scaled"))


def _same_aspect(a: ClipInfo, b: ClipInfo) -> bool:
    """Whether one size is the other, scaled and rounded: to whole pixels, or up to 2% to multiples of 8 pixels."""
    exact_width, exact_height = a.height * b.width / b.height, a.width * b.height / b.width
    off_pixels = min(abs(a.width - exact_width), abs(a.height - exact_height))
    return off_pixels <= 1 or (off_pixels <= 4 and abs(a.width / exact_width - 1) <= 0.02)
