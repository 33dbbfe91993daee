"""A clip of the procedural world with its ground truth: source, target, masks, exact motion, captions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import cv2
import numpy as np
import torch

from pnpvideo.measure.edges import within
from pnpvideo.measure.motion import Motion, exact_motion
from pnpvideo.measure.temporal import still_pixels
from pnpvideo.miniature.world import Scene, caption, render, trace_gbuffer
from pnpvideo.miniature.world.geometry import FIRST_THING
from pnpvideo.miniature.world.light import surface_edges
from pnpvideo.video.clip import Frame
from pnpvideo.video.drawings import Drawings

Autoencode = Callable[[list[np.ndarray]], list[np.ndarray]]

BASELINES = ("truth", "source", "truth, autoencoder", "source, autoencoder", "source, blurred", "one colour")
"""Results without a method, to compare with: the ground truth and the untouched source, each also through the
autoencoder, the source blurred, and its mean colour."""


class KnownClip(Protocol):
    """A clip of which the translation is known; see Footage."""

    @property
    def frames(self) -> int: ...
    @property
    def source(self) -> list[np.ndarray]: ...
    @property
    def truth(self) -> list[np.ndarray]: ...
    @property
    def source_prompt(self) -> str: ...
    @property
    def prompt(self) -> str: ...


@dataclass(frozen=True)
class Footage:
    """``frames`` moments of ``scene``, evenly spaced, in ``source_style`` and, as the truth, in ``target_style``.

    size: width and height in pixels. before: the scene of the source, if an edit changes it; None: the same scene.
    """

    scene: Scene
    source_style: str
    target_style: str
    frames: int
    size: int
    before: Scene | None = None

    @cached_property
    def times(self) -> list[float]:
        """The time of each frame, in [0, 1]."""
        return [index / max(1, self.frames - 1) for index in range(self.frames)]

    @cached_property
    def source(self) -> list[np.ndarray]:
        """The frames of the source, (size, size, 3) uint8."""
        return self._render(self.source_style, self.before or self.scene)

    @cached_property
    def truth(self) -> list[np.ndarray]:
        """The frames of the ground truth, (size, size, 3) uint8."""
        return self._render(self.target_style, self.scene)

    @cached_property
    def objects(self) -> list[list[np.ndarray]]:
        """For each frame of the truth, the masks (size, size) bool of its visible objects."""
        return self._objects(self.scene)

    @cached_property
    def masks(self) -> list[np.ndarray]:
        """For each frame of the truth, the mask (size, size) bool of all objects."""
        nothing = np.zeros((self.size, self.size), bool)
        return [np.logical_or.reduce([nothing, *objects]) for objects in self.objects]

    @cached_property
    def outside(self) -> list[np.ndarray]:
        """For each frame, the pixels (size, size) bool further than size / 40 from all objects of source and truth."""
        margin = np.ones([2 * (self.size // 40) + 1] * 2, np.uint8)
        found = []
        for masks in zip(self.objects, self._objects(self.before or self.scene), strict=True):
            nothing = np.zeros((self.size, self.size), bool)
            inside = np.logical_or.reduce([nothing, *masks[0], *masks[1]])
            found.append(cv2.dilate(inside.astype(np.uint8), margin) == 0)
        return found

    @cached_property
    def lines(self) -> list[np.ndarray]:
        """For each frame, outlines, part borders and creases of the objects, (size, size) bool."""
        found = []
        for time, mask in zip(self.times, self.masks, strict=True):
            edges = (
                surface_edges(trace_gbuffer([self.scene.at(time)], self.size), 1).reshape(self.size, self.size).numpy()
            )
            found.append(edges & within(mask, 2))
        return found

    @cached_property
    def motions(self) -> list[Motion]:
        """Exact motion of the truth from each frame to the next."""
        return [exact_motion(self.scene, start, end, self.size) for start, end in pairwise(self.times)]

    @cached_property
    def overall_motion(self) -> Motion:
        """Exact motion of the truth from the first frame to the last."""
        return exact_motion(self.scene, self.times[0], self.times[-1], self.size)

    @cached_property
    def still_mask(self) -> np.ndarray:
        """Pixels (size, size) bool that stand still in the truth."""
        return still_pixels(self.truth, self.motions)

    def drawings(self) -> Drawings:
        """The source as drawings of one frame each, at 8 frames a second."""
        frames = [Frame(index, Fraction(index, 8), picture) for index, picture in enumerate(self.source)]
        return Drawings(tuple(frames), tuple(range(len(frames))))

    @property
    def source_prompt(self) -> str:
        return caption(self.before or self.scene, self.source_style)

    @property
    def prompt(self) -> str:
        return caption(self.scene, self.target_style)

    def _render(self, style: str, scene: Scene) -> list[np.ndarray]:
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


def baselines(footage: KnownClip, autoencode: Autoencode | None = None) -> dict[str, list[np.ndarray]]:
    """The frames of each of BASELINES. autoencode: encodes and decodes frames; None: two rows are omitted."""
    average = np.broadcast_to(np.mean(footage.source, (0, 1, 2)).astype(np.uint8), footage.source[0].shape)
    reconstructions = (
        {}
        if autoencode is None
        else {
            "truth, autoencoder": autoencode(footage.truth),
            "source, autoencoder": autoencode(footage.source),
        }
    )
    return {
        "truth": footage.truth,
        "source": footage.source,
        **reconstructions,
        "source, blurred": blur(footage.source),
        "one colour": [np.ascontiguousarray(average)] * footage.frames,
    }


def blur(frames: Sequence[np.ndarray], share: float = 1 / 40) -> list[np.ndarray]:
    """Blur each frame by a Gaussian whose sigma is ``share`` of its width."""
    return [cv2.GaussianBlur(frame, (0, 0), frame.shape[1] * share) for frame in frames]
