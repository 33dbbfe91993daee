"""Read pictures that belong to a clip's frames, one for each, from a still, a clip or a folder: masks, conditions."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.video.clip import Clip, ClipInfo
from pnpvideo.video.read import read, without_repeats
from pnpvideo.video.span import Span, TimeSpan


class Companion:
    """The pictures of a clip's frames, in order, each at its own size. A still serves all frames.

    noun: what they are, such as "mask", for messages. convert: what is made of each (h, w, 3 or 4) uint8. span: the
    part of the input that was asked for. A companion has as many frames as that part, or as the whole input; frames of
    the two belong together by number. counted: count frames that no header states before any is read.

    Another size than the clip's is reported, because it will be scaled. Raises OptionError if the aspect ratio or, as
    far as known beforehand, the number of frames does not fit the clip.
    """

    def __init__(
        self,
        path: Path,
        clip: Clip,
        span: Span | None,
        noun: str,
        convert: Callable[[np.ndarray], np.ndarray],
        report: Report = ignore,
        *,
        counted: bool = False,
    ) -> None:
        self._path, self._noun, report = path, noun, without_repeats(report)
        own = read(path, report=report)
        self._check_size(own.info, clip.info, report)
        self._still = convert(next(own.frames()).pixels) if own.info.kind == "still" else None
        if self._still is None and span is not None and clip.span is not None:
            own = self._part(own, clip.span, _is_open(span), report)
        elif self._still is None:
            count, needed = ((_counted(one) if counted else one.info.frames) for one in (own, clip))
            if None not in (count, needed) and count != needed:
                self._refuse(count, needed)
        frames = own.frames() if self._still is None else iter(())
        self._rest: Iterator[np.ndarray] = (convert(frame.pixels) for frame in frames)

    def take(self, count: int) -> list[np.ndarray]:
        """The pictures of the next frames. Raises OptionError if there are fewer."""
        if self._still is not None:
            return [self._still] * count
        found = list(itertools.islice(self._rest, count))
        if len(found) < count:
            self._refuse(None, None, fewer=True)
        return found

    def finish(self) -> None:
        """Raise OptionError if pictures are left over."""
        if self._still is None and next(self._rest, None) is not None:
            self._refuse(None, None, fewer=False)

    def _part(self, own: Clip, span: tuple[int, int], to_end: bool, report: Report) -> Clip:
        """The frames that belong to the span of the input, which may end with the input."""
        start, stop = span
        count = _counted(own)
        if count == stop - start:
            return own
        if count < stop or (to_end and count > stop):
            self._refuse(count, stop)
        return read(self._path, span=span, report=report)

    def _refuse(self, count: int | None, needed: int | None, fewer: bool = False) -> NoReturn:
        fewer = count < needed if count is not None and needed is not None else fewer
        known = "" if count is None else f" ({count} frames, and {needed} are needed)"
        raise OptionError(
            f"the {self._noun} {str(self._path)!r} has {'fewer' if fewer else 'more'} frames than the input; a still "
            f"serves all of them{known}"
        )

    def _check_size(self, own: ClipInfo, clip: ClipInfo, report: Report) -> None:
        """Raise OptionError for another aspect ratio, and report another size."""
        which = f"the {self._noun} {str(self._path)!r}"
        sizes = f"{which} is {own.width} x {own.height}, the input {clip.width} x {clip.height}"
        if not _same_aspect(own, clip):
            raise OptionError(f"{sizes}: give a {self._noun} of the same aspect")
        if (own.width, own.height) != (clip.width, clip.height):
            report(Notice(message=f"{sizes}: it is scaled"))


def _counted(clip: Clip) -> int:
    """The number of frames; those of a video whose header does not state it are counted."""
    return clip.info.frames if clip.info.frames is not None else sum(1 for _ in clip.frames())


def _is_open(span: Span) -> bool:
    return (span.stop_seconds if isinstance(span, TimeSpan) else span[1]) is None


def _same_aspect(a: ClipInfo, b: ClipInfo) -> bool:
    """Whether one size is the other, scaled and rounded: to whole pixels, or up to 2% to multiples of 8 pixels."""
    exact_width, exact_height = a.height * b.width / b.height, a.width * b.height / b.width
    off_pixels = min(abs(a.width - exact_width), abs(a.height - exact_height))
    return off_pixels <= 1 or (off_pixels <= 4 and abs(a.width / exact_width - 1) <= 0.02)
