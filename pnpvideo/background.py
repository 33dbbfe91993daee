"""Masks of a clip's frames, read from a still or a clip."""

import itertools
from pathlib import Path

import numpy as np

from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.fit import grey
from pnpvideo.video.read import read

ASPECT = 0.02
"""Share by which a mask's aspect may differ from the input's: what rounding to whole pixels makes of it."""


class Masks:
    """The masks of a clip's frames, in order, each (h, w) uint8: a still serves all of them.

    span: of the input; a mask clip has as many frames as the whole input, or as the span. Raises OptionError where its
    aspect, or as far as it is known beforehand its number of frames, is another than that of ``clip``.
    """

    def __init__(
        self, path: Path, clip: ClipInfo, span: tuple[int, int | None] | None, report: Report = ignore
    ) -> None:
        self.path, opened = path, read(path, report=report)
        given = opened.info
        if abs(given.width * clip.height / (given.height * clip.width) - 1) > ASPECT:
            raise OptionError(
                f"the mask {str(path)!r} is {given.width} x {given.height}, the input {clip.width} x {clip.height}: "
                "give a mask of the same aspect"
            )
        if (given.width, given.height) != (clip.width, clip.height):
            report(
                Notice(
                    message=f"the mask {str(path)!r} is {given.width} x {given.height}, the input {clip.width} x "
                    f"{clip.height}: it is scaled"
                )
            )
        self.still = grey(next(opened.frames()).pixels) if given.kind == "still" else None
        if self.still is None and span is not None and given.frames != clip.frames:
            opened = read(path, span=span, report=report)
        if self.still is None and None not in (opened.info.frames, clip.frames):
            self._check(opened.info.frames or 0, clip.frames or 0)
        frames = opened.frames() if self.still is None else iter(())
        self.rest = (grey(frame.pixels) for frame in frames)

    def _check(self, count: int, wanted: int) -> None:
        if count != wanted:
            which = "fewer" if count < wanted else "more"
            raise OptionError(
                f"the mask {str(self.path)!r} has {which} frames than the input; a still serves all of them"
            )

    def take(self, count: int) -> list[np.ndarray]:
        """Those of the next frames. Raises OptionError where there are fewer."""
        if self.still is not None:
            return [self.still] * count
        taken = list(itertools.islice(self.rest, count))
        self._check(len(taken), count)
        return taken

    def finish(self) -> None:
        """Raises OptionError where masks are left over."""
        if self.still is None and next(self.rest, None) is not None:
            self._check(1, 0)
