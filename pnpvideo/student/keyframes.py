"""Choose the frames of a clip that the engine translates, and the neighbours from which the student learns motion."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from pnpvideo.measure.motion import estimated_motion
from pnpvideo.student.examples import Motions
from pnpvideo.video.pixels import composite_over_white

SMALL = 32
"""Width and height in pixels of the copies whose differences tell how much changes."""
EVEN = 0.5
"""Share of a keyframe's place that follows time; the rest follows the change of content."""


def choose_keyframes(frames: Sequence[np.ndarray], every: int) -> tuple[int, ...]:
    """Indices of keyframes among a shot's frames (h, w, 3 or 4) uint8: first, last, and about every ``every``-th.

    Between two keyframes lies the same amount of time and change, as a mean of both, so that a fast part gets more.
    """
    count = len(frames)
    wanted = min(count, -(-(count - 1) // every) + 1)
    if wanted < 2:
        return (0,)
    small = [cv2.resize(composite_over_white(frame), (SMALL, SMALL), interpolation=cv2.INTER_AREA) for frame in frames]
    changes = np.array([np.abs(b.astype(float) - a).mean() for a, b in pairwise(small)])
    time = np.linspace(0, 1, count)
    content = np.concatenate([[0], np.cumsum(changes)]) / changes.sum() if changes.any() else time
    way = EVEN * time + (1 - EVEN) * content
    found = {int(np.abs(way - place).argmin()) for place in np.linspace(0, 1, wanted)}
    return tuple(sorted(found | {0, count - 1}))


def neighbours(frames: Sequence[np.ndarray], most: int) -> Motions | None:
    """Up to ``most`` pairs of a frame (h, w, 3) uint8 and the next, evenly spread, with their motion; None: too few."""
    if len(frames) < 2 or most < 1:
        return None
    starts = sorted({round(index) for index in np.linspace(0, len(frames) - 2, min(most, len(frames) - 1))})
    motions = [estimated_motion(frames[index], frames[index + 1]) for index in starts]
    return Motions(
        earlier=np.stack([frames[index] for index in starts]),
        later=np.stack([frames[index + 1] for index in starts]),
        flow=np.stack([motion.flow for motion in motions]).astype(np.float16),
        visible=np.stack([motion.visible for motion in motions]),
    )


def joined(parts: Sequence[Motions | None]) -> Motions | None:
    """The neighbours of several shots as one; None if there are none."""
    some = [part for part in parts if part is not None]
    if not some:
        return None
    return Motions(
        earlier=np.concatenate([part.earlier for part in some]),
        later=np.concatenate([part.later for part in some]),
        flow=np.concatenate([part.flow for part in some]),
        visible=np.concatenate([part.visible for part in some]),
    )
