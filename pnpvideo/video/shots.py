"""Cuts: where one shot ends and the next begins, found frame by frame.

Two neighbouring frames belong to one shot if most of what either shows can be found near the same place in the
other. Both are reduced to small pictures in Lab, and each block of one is searched for in the other within a sixth
of the picture's width. What moves, even fast, is found again; after a cut it is not. The share of blocks that are
not found is the novelty of the later frame, 0 to 1. A frame is the first of a new shot if its novelty is high in
itself, and stands out from the novelty of the frames just before, which is high throughout where the camera whirls.
A picture that flashes up for up to FLASH_FRAMES frames, after which the old one goes on, is no cut. Dissolves are
none either: the shot goes on.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pnpvideo.video.clip import Frame, Shot

LONG_SIDE = 64  # pixels of the small pictures
BLOCK = 4
REACH = 10  # pixels of the small picture within which a block is searched
STEP = 2  # pixels between the places that are tried
STEP_KERNEL = np.ones((STEP + 1, STEP + 1), np.uint8)
FOUND = 12.0  # of 255: mean difference, summed over L, a and b, up to which a block counts as found
NOVEL = 0.25  # novelty from which a frame can be a cut
OUTSTANDING = 2.5  # times the novelty of the frames before
MOST_DIMMED = 0.4  # from one frame to the next in a fade
MEMORY = 8  # frames before, of those that changed at all
FLASH_FRAMES = 2


def shots(frames: Iterable[Frame], most: int | None = None) -> Iterator[Shot]:
    """Cuts a sequence of frames, all of one size, into shots. Lazy: a shot is yielded when its end is seen.

    most: a shot of more than one and a half times as many frames comes in parts of ``most``, and a last one of between
    half and one and a half times as many, so that few are held at a time. None: whole.
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
        yield Shot(number, tuple(shot), part)


@dataclass
class _Seen:
    frame: Frame
    small: np.ndarray
    cut: bool


def cuts(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Each frame, and whether a new shot begins with it. The first frame of all begins none."""
    seen: list[_Seen] = []  # the frames that may still turn out to belong to a flash, and the one before them
    lately: deque[float] = deque(maxlen=MEMORY)
    for frame in frames:
        small = _small(frame.pixels)
        fresh = novelty(seen[-1].small, small) if seen else 0.0
        cut = fresh >= NOVEL and fresh >= OUTSTANDING * (float(np.mean(lately)) if lately else 0.0)
        if cut:
            lately.clear()
            for before, flash in itertools.pairwise(seen):
                if flash.cut and novelty(before.small, small) < NOVEL:
                    flash.cut = cut = False
                    break
        elif fresh > 0:
            lately.append(fresh)
        seen.append(_Seen(frame, small, cut))
        if len(seen) > FLASH_FRAMES + 1:
            seen.pop(0)
            yield _told(seen[0])
        elif len(seen) == 1:
            yield _told(seen[0])
    for rest in seen[1:]:
        yield _told(rest)


def _told(seen: _Seen) -> tuple[Frame, bool]:
    return seen.frame, seen.cut


def novelty(a: np.ndarray, b: np.ndarray) -> float:
    """Share of blocks of either picture that the other does not hold near their place, the larger of the two.

    a, b: (h, w, 3) small pictures, uint8 RGB, of one size. A picture that is the other but a little brighter or
    darker throughout, as in a fade, holds nothing new.
    """
    if _all_in_place(_lab(a), _lab(b)):
        return 0.0
    gain, offset = np.polyfit(a.ravel(), b.ravel(), 1) if a.std() > 1 else (0.0, 0.0)
    if MOST_DIMMED <= gain <= 1 / MOST_DIMMED:
        faded = np.clip(a * gain + offset, 0, 255).astype(np.uint8)
        if _all_in_place(_lab(faded), _lab(b)):
            return 0.0
    return max(_unfound(_lab(a), _lab(b)), _unfound(_lab(b), _lab(a)))


def _all_in_place(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((_block_means(cv2.absdiff(a, b)) <= FOUND).all())


def _unfound(a: np.ndarray, b: np.ndarray) -> float:
    height, width = a.shape[:2]
    around = cv2.copyMakeBorder(b, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)
    lowest, highest = cv2.erode(around, STEP_KERNEL), cv2.dilate(around, STEP_KERNEL)  # what lies between two steps
    best: np.ndarray | None = None
    for y in range(0, 2 * REACH + 1, STEP):
        for x in range(0, 2 * REACH + 1, STEP):
            place = slice(y, y + height), slice(x, x + width)
            outside = cv2.subtract(lowest[place], a) + cv2.subtract(a, highest[place])
            means = _block_means(outside)
            best = means if best is None else np.minimum(best, means)
    assert best is not None
    return float(np.mean(best > FOUND))


def _block_means(difference: np.ndarray) -> np.ndarray:
    """Means over blocks, summed over the three channels: (rows, columns) float32."""
    height, width = difference.shape[:2]
    blocks = cv2.resize(difference, (width // BLOCK, height // BLOCK), interpolation=cv2.INTER_AREA)
    return blocks.sum(axis=2, dtype=np.float32)


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
