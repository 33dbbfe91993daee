"""Find the hard cuts of a clip, frame by frame, and split it into shots.

Each frame is compared with the one before. Both are reduced to small pictures in Lab, and each block of one is searched
for in the other, together with its neighbours, within a sixth of the picture's width: what moves, even fast, is found.
The novelty of a frame, 0 to 1, is the share of what changed that is not found. Blocks that have not changed say
nothing, so a still picture beside or above another one does not hide the other's cuts. Where much of the picture stands
still, each frame must hold what the other does not: an overlay that appears adds something, but takes little away.

A frame begins a shot if its novelty is high and three times that of its neighbours on both sides, which is high
throughout in a whip pan or a fade; and if no frame from before comes back just after it, as after a flash. Dissolves
are no cuts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pnpvideo.video.clip import Frame, Shot

LONG_SIDE = 64  # pixels of the small pictures
BLOCK = 4  # pixels of the small picture
REACH = 10  # pixels of the small picture: how far from its place a block is searched
STEP = 2  # pixels of the small picture between the places that are tried
STEP_KERNEL = np.ones((STEP + 1, STEP + 1), np.uint8)
NEIGHBOURS = np.ones((3, 3), np.uint8)  # blocks that have to be found together, at one displacement
MAX_GAIN = 6.0  # by which dark pictures are brightened before they are compared
UNCHANGED = 3.0  # of 255: mean difference of a block, summed over L, a and b, up to which it has not changed
FOUND = 6.0  # likewise, up to which it is found again
FADED = 12.0  # likewise, up to which it is the same block, a little brighter or darker
MIN_FADE = 0.4  # least contrast after a step of brightness, as a share of the contrast before it
MIN_CHANGED = 0.5  # share of the picture; novelty is a share of what has changed, but of no less than this
WHOLE = 0.8  # share of the picture that has changed from which no overlay can explain the change
NOVEL = 0.3  # novelty from which a frame can be a cut
OUTSTANDING = 3.0  # times the mean novelty of the neighbours before, and of those after
NEIGHBOURS_BEFORE = 4  # frames that changed, of the last MEMORY ones
MEMORY = 8  # frames that are kept after they were yielded
FLASH_FRAMES = 3  # longest flash; as many frames after a cut are read before it is decided


def shots(frames: Iterable[Frame], most: int | None = None) -> Iterator[Shot]:
    """Split frames, all of one size, into shots. Lazy: a shot is yielded when its end has been seen.

    most: split a shot of more than 1.5 x ``most`` frames into parts of ``most`` frames and a last one of 0.5 to 1.5 x
    ``most``, so that few frames are in memory at a time. None: never.
    """
    shot: list[Frame] = []
    number = part = 0
    for frame, cut in cuts(frames):
        if cut:
            yield Shot(number, tuple(shot), part)
            shot, number, part = [], number + 1, 0
        shot.append(frame)
        if most is not None and 2 * len(shot) > 3 * most:
            yield Shot(number, tuple(shot[:most]), part, more=True)
            shot, part = shot[most:], part + 1
    if shot:
        yield Shot(number, tuple(shot), part, last=True)


@dataclass
class _Seen:
    """A frame and how it differs from the one before. sudden: it begins a shot or a flash."""

    frame: Frame
    small: np.ndarray
    novelty: float
    changed: bool
    sudden: bool = False
    cut: bool = False


def cuts(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Yield each frame, and whether it begins a new shot; the very first frame does not.

    Lazy: a frame is yielded when FLASH_FRAMES more have been read.
    """
    window: list[_Seen] = []  # up to MEMORY frames that were yielded, and those that follow
    at = 0  # index of the next frame to yield
    for frame in frames:
        small = _small(frame.pixels)
        found = novelty(window[-1].small, small) if window else 0.0
        changed = bool(window) and not _differ_by_less(_lab(window[-1].small), _lab(small), UNCHANGED)
        window.append(_Seen(frame, small, found, changed))
        if len(window) > at + FLASH_FRAMES:
            yield _decided(window, at)
            if at < MEMORY:
                at += 1
            else:
                window.pop(0)
    for index in range(at, len(window)):
        yield _decided(window, index)


def _decided(window: list[_Seen], at: int) -> tuple[Frame, bool]:
    seen = window[at]
    if seen.novelty >= NOVEL and _stands_out(window, at):
        seen.sudden = True
        # No cut right after a cut, so that a frame that mixes two shots makes one cut, not two.
        seen.cut = not window[at - 1].cut and not _is_flash(window, at)
    return seen.frame, seen.cut


def _stands_out(window: list[_Seen], at: int) -> bool:
    before = [seen.novelty for seen in window[:at] if seen.changed and not seen.sudden][-NEIGHBOURS_BEFORE:]
    # The next frame is left out: where one frame mixes two shots, both it and the next are novel.
    after = [seen.novelty for seen in window[at + 2 : at + 1 + FLASH_FRAMES] if seen.changed]
    return all(window[at].novelty >= OUTSTANDING * float(np.mean(some)) for some in (before, after) if some)


def _is_flash(window: list[_Seen], at: int) -> bool:
    """Does a frame from before ``at`` come back after at most FLASH_FRAMES other frames?"""
    return any(
        novelty(window[first].small, later.small) < window[at].novelty / 2
        for first in range(max(0, at - FLASH_FRAMES - 1), at)
        for later in window[at : first + FLASH_FRAMES + 2]
    )


def novelty(a: np.ndarray, b: np.ndarray) -> float:
    """Share of what differs between two pictures that is not found near its place in the other one.

    a, b: (h, w, 3) small pictures, uint8 RGB, of one size. 0.0 for a picture that stands still and becomes a little
    brighter or darker.
    """
    if _differ_by_less(_lab(a), _lab(b), FADED):
        return 0.0
    slope, offset = np.polyfit(a.ravel(), b.ravel(), 1) if a.std() > 1 else (0.0, 0.0)
    if MIN_FADE <= slope <= 1 / MIN_FADE:
        faded = np.clip(a * slope + offset, 0, 255).astype(np.uint8)
        if _differ_by_less(_lab(faded), _lab(b), FADED):
            return 0.0
    gain = min(255 / max(float(np.percentile(np.maximum(a, b), 99)), 1), MAX_GAIN)
    one, two = (_lab(cv2.convertScaleAbs(picture, alpha=gain)) for picture in (a, b))
    changed = float(np.mean(_block_means(cv2.absdiff(one, two)) > UNCHANGED))
    lesser, greater = sorted((_unfound(one, two), _unfound(two, one)))
    return min(1.0, (greater if changed >= WHOLE else lesser) / max(changed, MIN_CHANGED))


def _differ_by_less(a: np.ndarray, b: np.ndarray, most: float) -> bool:
    return bool((_block_means(cv2.absdiff(a, b)) <= most).all())


def _unfound(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the blocks of ``a`` that are not found in ``b``, whichever of their 3 x 3 neighbourhoods is searched."""
    height, width = a.shape[:2]
    around = cv2.copyMakeBorder(b, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)
    lowest, highest = cv2.erode(around, STEP_KERNEL), cv2.dilate(around, STEP_KERNEL)  # what lies between two steps
    best: np.ndarray | None = None
    for y in range(0, 2 * REACH + 1, STEP):
        for x in range(0, 2 * REACH + 1, STEP):
            place = slice(y, y + height), slice(x, x + width)
            outside = cv2.subtract(lowest[place], a) + cv2.subtract(a, highest[place])
            means = cv2.blur(_block_means(outside), NEIGHBOURS.shape, borderType=cv2.BORDER_REPLICATE)
            best = means if best is None else np.minimum(best, means)
    assert best is not None
    return float(np.mean(cv2.erode(best, NEIGHBOURS, borderType=cv2.BORDER_REPLICATE) > FOUND))


def _block_means(difference: np.ndarray) -> np.ndarray:
    """Means over blocks, summed over the three channels: (rows, columns) float32."""
    height, width = difference.shape[:2]
    blocks = cv2.resize(difference, (width // BLOCK, height // BLOCK), interpolation=cv2.INTER_AREA)
    sums: np.ndarray = blocks.sum(axis=2, dtype=np.float32)
    return sums


def _small(pixels: np.ndarray) -> np.ndarray:
    """The picture in RGB, its long side LONG_SIDE, its sides multiples of BLOCK. What is transparent is black."""
    height, width = pixels.shape[:2]
    scale = LONG_SIDE / max(height, width)
    size = [max(BLOCK, round(side * scale / BLOCK) * BLOCK) for side in (width, height)]
    small = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
    if small.shape[2] == 4:
        small = (small[..., :3] * (small[..., 3:] / np.float32(255))).astype(np.uint8)
    return small


def _lab(small: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(small, cv2.COLOR_RGB2Lab)
