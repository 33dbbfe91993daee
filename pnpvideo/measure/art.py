"""The benchmark of translation between looks of drawings: clips and stills of names that are held out of all training.

The same drawing in another look is the truth; nearly all have the same outline in every look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pnpvideo.events import Report, ignore
from pnpvideo.measure.benchmark import SPLITS, BenchmarkResult
from pnpvideo.measure.fidelity import fidelity, worst_block
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.judge_measures import edit_success, structure_distance
from pnpvideo.measure.motion import Motion
from pnpvideo.measure.sharpness import sharpness
from pnpvideo.measure.temporal import warp_error
from pnpvideo.measure.world import ClipOptions, measure_translations
from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.drawing import draw_scene, place_sprite, pose
from pnpvideo.miniature.art.names import held_out_names, training_names
from pnpvideo.miniature.art.scene import ArtInstant, ArtScene, random_art
from pnpvideo.miniature.art.sprites import LOOKS, Sprites
from pnpvideo.settings.options import Options


@dataclass(frozen=True, kw_only=True)
class ArtOptions(ClipOptions):
    """Clips or, of one frame, stills of drawings, in their looks; see ``ClipOptions``.

    split: "held-out" shows the names that are held out of training, "tuning" trained ones.
    """

    clips: int = 50
    frames: int = 1
    tasks: tuple[tuple[str, str], ...] = (("flat", "3d"), ("gradient", "3d"))
    styles = LOOKS

    def footage(self, task: tuple[str, str], number: int, sprites: Sprites) -> "ArtFootage":
        """Clip ``number`` of a task."""
        names = held_out_names() if self.split == "held-out" else training_names()
        scene = random_art(SPLITS[self.split] + number, names)
        return ArtFootage(scene, *task, self.frames, self.size, sprites)


@dataclass(frozen=True)
class ArtFootage:
    """``frames`` moments of ``scene``, evenly spaced, in ``source_look`` and, as the truth, in ``target_look``."""

    scene: ArtScene
    source_look: str
    target_look: str
    frames: int
    size: int
    sprites: Sprites

    @cached_property
    def instants(self) -> list[ArtInstant]:
        """The scene at each frame."""
        return [self.scene.at(index / max(1, self.frames - 1)) for index in range(self.frames)]

    @cached_property
    def source(self) -> list[np.ndarray]:
        """The frames of the source, (size, size, 3) uint8."""
        return [draw_scene(instant, self.source_look, self.sprites, self.size) for instant in self.instants]

    @cached_property
    def truth(self) -> list[np.ndarray]:
        """The frames of the ground truth, (size, size, 3) uint8."""
        return [draw_scene(instant, self.target_look, self.sprites, self.size) for instant in self.instants]

    @cached_property
    def fronts(self) -> list[np.ndarray]:
        """For each frame of the truth, the number from 1 of the thing seen at each pixel, 0 for the backdrop."""
        found = []
        for instant in self.instants:
            front = np.zeros((self.size, self.size), np.uint8)
            for number, thing in enumerate(instant.things, 1):
                sprite = self.sprites.sprite(thing.name, self.target_look)
                front[place_sprite(thing, sprite, self.size)[..., 3] > 0.5] = number
            found.append(front)
        return found

    @cached_property
    def masks(self) -> list[np.ndarray]:
        """For each frame of the truth, the mask (size, size) bool of all things."""
        return [front > 0 for front in self.fronts]

    @cached_property
    def outside(self) -> list[np.ndarray]:
        """For each frame, the pixels (size, size) bool further than size / 40 from all things of the truth."""
        margin = np.ones([2 * (self.size // 40) + 1] * 2, np.uint8)
        return [cv2.dilate(mask.astype(np.uint8), margin) == 0 for mask in self.masks]

    @cached_property
    def motions(self) -> list[Motion]:
        """Exact motion of the truth from each frame to the next; shadows count as the backdrop, which stands still."""
        pairs = pairwise(zip(self.instants, self.fronts, strict=True))
        return [_motion(*earlier, *later) for earlier, later in pairs]

    @property
    def source_prompt(self) -> str:
        return art_caption(self.scene.start, self.source_look)

    @property
    def prompt(self) -> str:
        return art_caption(self.scene.start, self.target_look)


def _motion(earlier: ArtInstant, front: np.ndarray, later: ArtInstant, front_later: np.ndarray) -> Motion:
    """Exact motion between two moments, of which ``front`` and ``front_later`` are the things seen."""
    size = len(front)
    places = np.moveaxis(np.mgrid[:size, :size][::-1], 0, -1).astype(np.float32)  # (x, y) of each pixel
    there = places.copy()
    for number, (start, end) in enumerate(zip(earlier.things, later.things, strict=True), 1):
        move = pose(end, size, size) @ np.linalg.inv(pose(start, size, size))
        mine = front == number
        there[mine] = places[mine] @ move[:2, :2].T + move[:2, 2]
    x, y = there.round().astype(int).transpose(2, 0, 1)
    inside = (x >= 0) & (y >= 0) & (x < size) & (y < size)
    same = front_later[y.clip(0, size - 1), x.clip(0, size - 1)] == front
    return Motion(np.moveaxis(there - places, -1, 0), inside & same)


def measure_drawing(judge: Judge, footage: ArtFootage, result: Sequence[np.ndarray]) -> dict[str, float]:
    """The measures of ``result``, frames (size, size, 3) uint8 in the footage's order; of stills, without motion."""
    found = {
        **edit_success(judge, result, footage.prompt, footage.source_prompt),
        **fidelity(result, footage.truth, footage.masks),
        "sharp_inside": sharpness(result, footage.truth, footage.masks)[0],
        "sharp_outside": sharpness(result, footage.truth, footage.outside)[0],
        "laplacian": sharpness(result, footage.truth)[1],
        "worst": worst_block(result, footage.truth),
        "structure": structure_distance(judge.tower, result, footage.source),
    }
    return {**found, "warp": warp_error(result, footage.motions)} if footage.frames > 1 else found


def measure_art(
    sprites: Sprites,
    options: ArtOptions,
    base: Options,
    recipes: dict[str, dict[str, Any]] | None = None,
    report: Report = ignore,
    journal: Path | None = None,
) -> BenchmarkResult:
    """Translate drawings of ``sprites`` by every recipe, and measure the results; see ``measure_world``."""

    def footage(task: tuple[str, str], number: int) -> ArtFootage:
        return options.footage(task, number, sprites)

    return measure_translations(options, footage, measure_drawing, base, recipes, report, journal)
