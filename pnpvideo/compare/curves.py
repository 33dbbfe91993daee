"""Measures of each frame: warp error by the source's motion, flicker where the source stands still, agreement with
a text. The measures themselves are those of ``pnpvideo.measure``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pnpvideo.errors import printable
from pnpvideo.measure.motion import Motion, estimated_motions
from pnpvideo.measure.temporal import difference, flicker, still_pixels
from pnpvideo.video.pixels import resize

if TYPE_CHECKING:  # it loads the libraries of networks
    from pnpvideo.measure.judge import Judge

SMALLEST_SIDE = 16
"""Pixels a side that optical flow and the judge need."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One measure of every clip at every moment."""

    name: str
    meaning: str
    better: str
    """"low" or "high"."""
    digits: int
    values: tuple[tuple[float | None, ...], ...]
    """For each clip, the source first, a value for each moment; None: not defined there."""

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value, with 0 included where low is better."""
        known = [value for values in self.values for value in values if value is not None]
        low, high = min(known), max(known)
        return (0.0 if self.better == "low" else low), (high if high > low or high > 0 else low + 1.0)


@dataclass(frozen=True)
class Shown:
    """What a clip shows: ``pictures`` (h, w, 3) uint8, and which of them at each moment."""

    pictures: Sequence[np.ndarray]
    at: Sequence[int]


def motion_curves(clips: Sequence[Shown], moments: Sequence[int]) -> list[Curve]:
    """Warp error and flicker from each of the source's frames to its next; none for fewer than two frames.

    clips: the source, then the results, which are resized to the source's size. moments: at which a frame of the source
    begins. A value belongs to the later one of the two frames.
    """
    height, width = clips[0].pictures[0].shape[:2]
    if len(moments) < 2 or min(height, width) < SMALLEST_SIDE:
        return []
    frames = [[resize(clip.pictures[clip.at[moment]], (width, height)) for moment in moments] for clip in clips]
    motions = estimated_motions(frames[0])
    stills = [still_pixels(pair, [motion]) for pair, motion in zip(pairwise(frames[0]), motions, strict=True)]
    count = len(clips[0].at)

    def spread(values: Sequence[float]) -> tuple[float | None, ...]:
        """Values of the later frames, at their moments."""
        by_moment = dict(zip(moments[1:], values, strict=True))
        return tuple(_known(by_moment.get(moment, math.nan)) for moment in range(count))

    warp = [spread([1000 * _warp(*each) for each in zip(pairwise(clip), motions, strict=True)]) for clip in frames]
    shimmer = [spread([flicker(*each) for each in zip(pairwise(clip), stills, strict=True)]) for clip in frames]
    found = [
        Curve(
            name="Warp error",
            meaning="Change from the frame before that the source's motion does not explain, x 1000",
            better="low",
            digits=2,
            values=tuple(warp),
        ),
        Curve(
            name="Flicker",
            meaning="Change from the frame before where the source stands still, in levels of 255",
            better="low",
            digits=2,
            values=tuple(shimmer),
        ),
    ]
    return [curve for curve in found if any(value is not None for values in curve.values for value in values)]


def text_curve(clips: Sequence[Shown], prompt: str, judge: Judge) -> list[Curve]:
    """Agreement of every picture with the prompt, by a CLIP model: 100 times the cosine; none for tiny pictures."""
    if min(min(clip.pictures[0].shape[:2]) for clip in clips) < SMALLEST_SIDE:
        return []
    values = []
    for clip in clips:
        cosines = 100 * judge.cosines(clip.pictures, [prompt])[:, 0]
        values.append(tuple(float(cosines[number]) for number in clip.at))
    curve = Curve(
        name="Agreement with the prompt",
        meaning=f"100 x cosine of the frame and “{printable(prompt)}”, by {printable(judge.name)}",
        better="high",
        digits=1,
        values=tuple(values),
    )
    return [curve]


def _warp(pair: tuple[np.ndarray, np.ndarray], motion: Motion) -> float:
    return difference(*pair, motion) if motion.visible.any() else math.nan


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
