"""A clip of the procedural world with its ground truth: source, target, masks, exact motion, captions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
import torch

from pnpvideo.measure.edges import within
from pnpvideo.measure.flicker import still_pixels
from pnpvideo.measure.motion import Motion, exact_motion
from pnpvideo.miniature.world import Scene, caption, render, trace_gbuffer
from pnpvideo.miniature.world.geometry import FIRST_THING
from pnpvideo.miniature.world.light import surface_edges
from pnpvideo.video.clip import Frame
from pnpvideo.video.drawings import Drawings

Rebuilt = Callable[[list[np.ndarray]], list[np.ndarray]]

FLOORS = ("truth", "source", "truth, autoencoder", "source, autoencoder", "source, blurred", "one colour")
"""Reference rows: ground truth, untouched source, both through the autoencoder, blurred source, one flat colour."""


@dataclass(frozen=True)
class Footage:
    """``frames`` moments of ``scene``, evenly spread, drawn in style ``drawn`` and, as the truth, in ``wanted``.

    before: the source's scene, if the truth has another thing or sky; None: the same scene.
    """

    scene: Scene
    drawn: str
    wanted: str
    frames: int
    size: int
    before: Scene | None = None

    @cached_property
    def times(self) -> list[float]:
        return [index / max(1, self.frames - 1) for index in range(self.frames)]

    @cached_property
    def source(self) -> list[np.ndarray]:
        """(size, size, 3) uint8 each."""
        return self._in(self.drawn, self.before or self.scene)

    @cached_property
    def truth(self) -> list[np.ndarray]:
        """(size, size, 3) uint8 each."""
        return self._in(self.wanted, self.scene)

    @cached_property
    def objects(self) -> list[list[np.ndarray]]:
        """For each frame, the masks (size, size) bool of its visible objects."""
        return self._objects(self.scene)

    @cached_property
    def masks(self) -> list[np.ndarray]:
        """For each frame, the mask of all objects together."""
        nothing = np.zeros((self.size, self.size), bool)
        return [np.logical_or.reduce([nothing, *objects]) for objects in self.objects]

    @cached_property
    def outside(self) -> list[np.ndarray]:
        """For each frame, pixels that are further than a fortieth of the size from any object of source and truth."""
        margin = np.ones([2 * (self.size // 40) + 1] * 2, np.uint8)
        drawn = self._objects(self.before or self.scene)
        found = []
        for masks in zip(self.objects, drawn, strict=True):
            nothing = np.zeros((self.size, self.size), bool)
            inside = np.logical_or.reduce([nothing, *masks[0], *masks[1]])
            found.append(cv2.dilate(inside.astype(np.uint8), margin) == 0)
        return found

    @cached_property
    def lines(self) -> list[np.ndarray]:
        """For each frame, the objects' outlines, part borders and creases, (size, size) bool."""
        found = []
        for time, mask in zip(self.times, self.masks, strict=True):
            drawn = (
                surface_edges(trace_gbuffer([self.scene.at(time)], self.size), 1).reshape(self.size, self.size).numpy()
            )
            found.append(drawn & within(mask, 2))
        return found

    @cached_property
    def motions(self) -> list[Motion]:
        """Exact motion from each frame to the next."""
        return [exact_motion(self.scene, start, end, self.size) for start, end in pairwise(self.times)]

    @cached_property
    def whole_way(self) -> Motion:
        """Exact motion from the first frame to the last."""
        return exact_motion(self.scene, self.times[0], self.times[-1], self.size)

    @cached_property
    def still(self) -> np.ndarray:
        return still_pixels(self.truth, self.motions)

    def drawings(self) -> Drawings:
        """The source as drawings at 8 frames a second; no drawing is held."""
        frames = [Frame(index, Fraction(index, 8), picture) for index, picture in enumerate(self.source)]
        return Drawings(tuple(frames), tuple(range(len(frames))))

    @property
    def source_prompt(self) -> str:
        return caption(self.before or self.scene, self.drawn)

    @property
    def prompt(self) -> str:
        return caption(self.scene, self.wanted)

    def _in(self, style: str, scene: Scene) -> list[np.ndarray]:
        return [pixels(render([scene.at(time)], [style], self.size)[style][0]) for time in self.times]

    def _objects(self, scene: Scene) -> list[list[np.ndarray]]:
        found = []
        for time in self.times:
            ids = trace_gbuffer([scene.at(time)], self.size).ids.reshape(self.size, self.size).numpy()
            masks = [ids == FIRST_THING + slot for slot in range(len(scene.things))]
            found.append([mask for mask in masks if mask.any()])
        return found


def pixels(picture: torch.Tensor) -> np.ndarray:
    """(3, h, w) in [0, 1] -> (h, w, 3) uint8."""
    return (picture * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def floors(footage: Footage, rebuilt: Rebuilt | None = None) -> dict[str, list[np.ndarray]]:
    """The reference rows FLOORS. rebuilt: encodes and decodes frames; without it, two rows are left out."""
    average = np.broadcast_to(np.mean(footage.source, (0, 1, 2)).astype(np.uint8), footage.source[0].shape)
    through = (
        {}
        if rebuilt is None
        else {
            "truth, autoencoder": rebuilt(footage.truth),
            "source, autoencoder": rebuilt(footage.source),
        }
    )
    return {
        "truth": footage.truth,
        "source": footage.source,
        **through,
        "source, blurred": blurred(footage.source),
        "one colour": [np.ascontiguousarray(average)] * footage.frames,
    }


def blurred(frames: Sequence[np.ndarray], share: float = 1 / 40) -> list[np.ndarray]:
    """Blur each frame by a Gaussian whose sigma is ``share`` of its width."""
    return [cv2.GaussianBlur(frame, (0, 0), frame.shape[1] * share) for frame in frames]
