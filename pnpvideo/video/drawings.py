"""Held drawings: animation "on twos" shows each drawing twice or more, and a codec's noise lies between the copies.

Two frames are one drawing if no block of 8 x 8 pixels, and none of 4 x 4, differs by more than the noise of a usual
encoding. The blocks' means are compared, in which noise cancels and motion does not: an edge that moves by a pixel
shifts the mean of its block by an eighth, or a quarter, of its contrast. Each frame is compared with the first of its
drawing, so that a slow movement cannot creep on. Measured on x264 at CRF 18 to 23, held copies differ by up to 2.2 in
luma and 4.4 in chroma (8 x 8), and 5.8 in luma (4 x 4); a disc of medium contrast that moves by one pixel by 3, 6 and
6, a dark one that moves by half a pixel by 8 in luma (4 x 4).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pnpvideo.video.clip import Frame, Shot

BLOCK = 8  # pixels
STRIP = 2**20  # pixels whose blocks are computed at once
NOISE = (2.5, 5.0, 5.0, 2.5)  # of 255, of the mean of such a block, in luma, two chromas and alpha
QUARTER_NOISE = (7.0, 255.0, 255.0, 7.0)  # likewise, of a block of half the side; chroma is too coarse to tell


@dataclass(frozen=True, eq=False)
class Drawings:
    """The distinct drawings of a shot: ``frames``, the first showing of each, in order; ``of``: for each frame of
    the shot, the index of its drawing, from 0, never decreasing; ``masks``: of each drawing, or None.

    carried: the first drawing is the last one of the part before, which this part of the shot still shows.
    """

    frames: tuple[Frame, ...]
    of: tuple[int, ...]
    masks: tuple[np.ndarray, ...] | None = None
    carried: bool = False

    def last(self) -> "Drawings":
        """The last drawing alone: what the next part of the shot may still show."""
        return Drawings(self.frames[-1:], (0,), None if self.masks is None else self.masks[-1:])


def held(shot: Shot, masks: Sequence[np.ndarray] | None = None, before: Drawings | None = None) -> Drawings:
    """Joins neighbours that show one drawing. A drawing that comes back later counts anew.

    masks: (h, w) of each frame; where they change, what is shown counts as another drawing. before: of the part of the
    shot that goes before this one.
    """
    frames: list[Frame] = []
    shown: list[np.ndarray] = []
    of: list[int] = []
    if before is not None and shot.part > 0:
        frames.append(before.frames[-1])
        shown += before.masks[-1:] if before.masks else ()
    earlier = len(frames)
    for number, (frame, new) in enumerate(_first_showings((*frames, *shot.frames))):
        if number < earlier:
            continue
        mask = None if masks is None else masks[number - earlier]
        if new or (mask is not None and shown and not np.array_equal(mask, shown[-1])):
            frames.append(frame)
            shown += [] if mask is None else [mask]
        of.append(len(frames) - 1)
    carried = earlier == 1 and of[0] == 0
    unused = earlier if not carried else 0
    return Drawings(
        tuple(frames[unused:]),
        tuple(index - unused for index in of),
        None if masks is None else tuple(shown[unused:]),
        carried,
    )


def count(frames: Iterable[Frame]) -> int:
    """How many drawings the frames show, without keeping them."""
    return sum(new for _, new in _first_showings(frames))


def _first_showings(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    first: np.ndarray | None = None
    for frame in frames:
        new = first is None or not _same(first, frame.pixels)
        if new:
            first = frame.pixels
        yield frame, new


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """(h, w, 3 or 4) uint8 each."""
    if a.shape != b.shape:
        return False
    fine_a, fine_b = _blocks(a), _blocks(b)
    return _within(fine_a, fine_b, QUARTER_NOISE) and _within(_joined(fine_a), _joined(fine_b), NOISE)


def _joined(blocks: np.ndarray) -> np.ndarray:
    """Means of blocks of twice the side."""
    return cv2.resize(blocks, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _within(a: np.ndarray, b: np.ndarray, noise: tuple[float, ...]) -> bool:
    channels = a.shape[2]
    return bool((np.abs(a - b).reshape(-1, channels).max(axis=0) <= noise[:channels]).all())


def _blocks(pixels: np.ndarray) -> np.ndarray:
    """Means of the blocks of half of BLOCK in luma, chroma and alpha: (rows, columns, 3 or 4) float32, rows and
    columns even. What is transparent is black. Computed strip by strip: the floats of a whole frame would be large."""
    rows = max(1, STRIP // (BLOCK * pixels.shape[1])) * BLOCK
    strips = [_strip_blocks(pixels[row : row + rows]) for row in range(0, pixels.shape[0], rows)]
    return strips[0] if len(strips) == 1 else np.concatenate(strips)


def _strip_blocks(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    colours = np.ascontiguousarray(pixels[..., :3])
    if pixels.shape[2] == 4:
        colours = (colours * (pixels[..., 3:] / np.float32(255))).astype(np.uint8)
    planes = cv2.cvtColor(colours, cv2.COLOR_RGB2YCrCb)
    if pixels.shape[2] == 4:
        planes = np.dstack([planes, pixels[..., 3]])
    below, right = -height % BLOCK, -width % BLOCK
    whole = cv2.copyMakeBorder(planes, 0, below, 0, right, cv2.BORDER_REPLICATE).astype(np.float32)
    size = (width + right) * 2 // BLOCK, (height + below) * 2 // BLOCK
    return cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
