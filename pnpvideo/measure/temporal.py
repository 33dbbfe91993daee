"""Temporal consistency: warp error, drift, flicker and likeness of motion, by the motion of the source."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pnpvideo.measure.motion import Motion, estimated_motion


def warp_error(frames: Sequence[np.ndarray], motions: Sequence[Motion]) -> float:
    """Mean squared difference, in [0, 1]^2 units, between frame t and frame t + 1 warped to t, mean over pairs.

    frames: n of (h, w, 3) uint8. motions: n - 1 of the source, from t to t + 1; pixels that are not visible in both are
    ignored, and pairs without a common pixel too; NaN if no pair is left. Raises ValueError for fewer than two frames
    or another number of motions.
    """
    if len(frames) < 2 or len(motions) != len(frames) - 1:
        raise ValueError(f"{len(frames)} frames and {len(motions)} motions; one motion is needed between each two")
    errors = [
        difference(earlier, later, motion)
        for (earlier, later), motion in zip(pairwise(frames), motions, strict=True)
        if motion.visible.any()
    ]
    return _mean(errors)


class MotionComparison:
    """Compare the motion of a result with its source's, frame by frame; two frames of each are held at most.

    warp, warp_of_source: as ``warp_error`` of all frames by the source's estimated motion. motion: minus the mean
    end-point error, in pixels, between the estimated flows of source and result. All are NaN before the second frame.
    """

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._warps: list[float] = []
        self._warps_of_source: list[float] = []
        self._distances: list[float] = []

    def add(self, source: np.ndarray, result: np.ndarray) -> None:
        """Take the next frame of both, (h, w, 3) uint8 of one size."""
        if self._before is not None:
            source_before, result_before = self._before
            motion, own = estimated_motion(source_before, source), estimated_motion(result_before, result)
            self._distances.append(float(np.hypot(*(own.flow - motion.flow)).mean()))
            if motion.visible.any():
                self._warps.append(difference(result_before, result, motion))
                self._warps_of_source.append(difference(source_before, source, motion))
        self._before = source, result

    @property
    def warp(self) -> float:
        return _mean(self._warps)

    @property
    def warp_of_source(self) -> float:
        return _mean(self._warps_of_source)

    @property
    def motion(self) -> float:
        return -_mean(self._distances)


def drift(frames: Sequence[np.ndarray], overall_motion: Motion) -> float:
    """Mean squared difference, in [0, 1]^2 units, between the first frame and the last one warped to it.

    overall_motion: of the source from the first frame to the last. NaN if they share no pixel.
    """
    return difference(frames[0], frames[-1], overall_motion) if overall_motion.visible.any() else float("nan")


def difference(earlier: np.ndarray, later: np.ndarray, motion: Motion) -> float:
    """Mean squared difference, in [0, 1]^2 units, of two frames over the pixels that are visible in both."""
    error = (motion.undo(later) - earlier) / 255
    return float(np.square(error).mean(2)[motion.visible].mean())


def still_pixels(frames: Sequence[np.ndarray], motions: Sequence[Motion], reach: float = 0.05) -> np.ndarray:
    """Mask (h, w) bool of the pixels of the ground truth that stand still.

    They move by less than ``reach`` pixels between frames and differ by at most 3 of 255 levels in all ``frames``,
    which excludes moving shadows.
    """
    still: np.ndarray = np.ones(frames[0].shape[:2], bool)
    for motion in motions:
        still &= motion.visible & (np.hypot(*motion.flow) < reach)
    still &= np.ptp(np.stack(frames), axis=0).max(2) <= 3
    return still


def flicker(frames: Sequence[np.ndarray], still: np.ndarray) -> float:
    """Mean absolute change from frame to frame of the ``still`` pixels, in levels of 255; NaN if there are none."""
    if not still.any() or len(frames) < 2:
        return float("nan")
    changes = [
        np.abs(later.astype(np.int16) - earlier.astype(np.int16))[still].mean() for earlier, later in pairwise(frames)
    ]
    return float(np.mean(changes))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
