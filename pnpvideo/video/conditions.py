"""Conditions that ControlNets follow: made from the frames, or read from stills, clips and folders that users bring."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from pnpvideo.events import Report, ignore
from pnpvideo.video.clip import Clip
from pnpvideo.video.companion import Companion
from pnpvideo.video.pixels import resize
from pnpvideo.video.span import Span

LOW, HIGH = 100, 200
"""Thresholds of Canny's edges, those of the published canny ControlNets' examples (values of 0 to 255, L1 norm)."""


def canny(pixels: np.ndarray) -> np.ndarray:
    """White edges on black, (h, w, 3) uint8, of (h, w, 3) uint8: cv2.Canny, the strongest of the three channels."""
    return np.repeat(cv2.Canny(np.ascontiguousarray(pixels), LOW, HIGH)[..., None], 3, axis=2)


def tile(pixels: np.ndarray) -> np.ndarray:
    """The picture itself."""
    return pixels


MAKERS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"canny": canny, "tile": tile}
"""What makes each kind of settings.control.KINDS from a frame at the working size."""


class Conditions:
    """The conditions of a clip's frames from files, in order, one of each path for a frame, at the working size.

    size: (width, height). span: see Companion. Frames are counted beforehand. Raises OptionError for another number of
    frames or another aspect than the clip's.
    """

    def __init__(
        self, paths: Sequence[Path], clip: Clip, span: Span | None, size: tuple[int, int], report: Report = ignore
    ) -> None:
        def convert(pixels: np.ndarray) -> np.ndarray:
            return resize(_over_black(pixels), size)

        self._each = [Companion(path, clip, span, "control", convert, report, counted=True) for path in paths]

    def take(self, count: int) -> list[tuple[np.ndarray, ...]]:
        """Those of the next frames, (h, w, 3) uint8 each, in the order of the paths."""
        return list(zip(*(one.take(count) for one in self._each), strict=True))

    def finish(self) -> None:
        """Raise OptionError if any are left over."""
        for one in self._each:
            one.finish()


def _over_black(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3) of (h, w, 3 or 4) uint8; transparent parts say nothing, which is black in a condition."""
    if pixels.shape[2] == 3:
        return pixels
    opaque: np.ndarray = np.rint(pixels[..., :3] * (pixels[..., 3:] / np.float32(255)))
    return opaque.astype(np.uint8)
