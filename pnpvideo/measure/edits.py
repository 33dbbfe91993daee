"""Edits of stills of the world, where it is known what should change, what should not, and what it should look like."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.device import choose_device, choose_dtype
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.engine import Translator
from pnpvideo.events import Progress, Report, ignore
from pnpvideo.measure.figures import finite, mean
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.model import read_caption
from pnpvideo.measure.structure import structure_distance
from pnpvideo.miniature.recipe.data import HELD_OUT, TUNING
from pnpvideo.miniature.world import STYLES, Instant, look, random_scene, render
from pnpvideo.miniature.world.geometry import FIRST_THING
from pnpvideo.miniature.world.questions import ATTRIBUTES, QUESTIONS, answers
from pnpvideo.options import TranslateOptions
from pnpvideo.store import Store
from pnpvideo.video.clip import Frame
from pnpvideo.video.drawings import Drawings
from pnpvideo.video.likeness import psnr
from pnpvideo.words.caption import Captioner
from pnpvideo.words.direction import save, templated


@dataclass(frozen=True)
class Task:
    """``attribute`` of a still changes from ``before`` to ``after``; the words that name both, and those of templates.

    local: only the thing changes, and all outside it should stay.
    """

    name: str
    attribute: str
    before: str
    after: str
    words: tuple[str, str]
    local: bool


TASKS = (
    Task("ball to cube", "shape", "ball", "cube", ("ball", "cube"), True),
    Task("red to blue", "colour", "red", "blue", ("red", "blue"), True),
    Task("cartoon to photo", "style", "cartoon", "photo", ("cartoon", "photo"), False),
    Task("day to sunset", "sky", "day", "sunset", ("in daylight", "at sunset"), False),
)
_ZERO: dict[str, Any] = {"method": "pix2pix-zero", "regularize": 2.0}
_PLAIN: dict[str, Any] = {"method": "pnp", "feature_until": 0.0, "attention_until": 0.0, "fresh_noise": 0.0}
RECIPES: dict[str, dict[str, Any]] = {
    "pix2pix-zero": {**_ZERO, "by": "direction"},
    "pix2pix-zero, pyramid gain 1": {**_ZERO, "regularize": 1.0, "by": "direction"},
    "pix2pix-zero, not regularised": {**_ZERO, "regularize": 0.0, "by": "direction"},
    "pix2pix-zero, words swapped": {**_ZERO, "by": "words"},
    "pix2pix-zero, no guidance": {**_ZERO, "cross_attention": 0.0, "by": "direction"},
    "pix2pix-zero, corrected inversion": {**_ZERO, "regularize": 0.0, "inversion_rounds": 1, "by": "direction"},
    "words swapped, DDIM": {**_PLAIN, "by": "words"},
    "words swapped, pnp": {"method": "pnp", "by": "words"},
    "direction, pnp": {"method": "pnp", "by": "direction"},
    "sdedit 0.5": {"method": "sdedit", "strength": 0.5, "by": "words"},
    "sdedit 0.7": {"method": "sdedit", "strength": 0.7, "by": "words"},
}
"""Options that differ from those given; "by": the change comes as a direction, or as the caption with words swapped."""


@dataclass(frozen=True, kw_only=True)
class EditsOptions:
    """stills of ``size`` pixels for each task; split: "held-out" or "tuning"."""

    stills: int = 200
    size: int = 256
    split: str = "held-out"
    judge: str = "miniature"


class Still:
    """Still ``number`` of a task: a scene with one thing that has the attribute, and the same scene changed."""

    def __init__(self, task: Task, number: int, options: EditsOptions) -> None:
        self.task, self.size = task, options.size
        first = HELD_OUT if options.split == "held-out" else TUNING
        scene = random_scene(first + number, things=1).at((number * 0.618) % 1.0)
        lit = [style for style in STYLES if style != "night"]
        self.style = task.before if task.attribute == "style" else lit[number % len(lit)]
        self.wanted_style = task.after if task.attribute == "style" else self.style
        self.scene, self.changed = (_with(scene, task.attribute, value) for value in (task.before, task.after))

    @cached_property
    def source(self) -> np.ndarray:
        return _drawn(self.scene, self.style, self.size)

    @cached_property
    def truth(self) -> np.ndarray:
        return _drawn(self.changed, self.wanted_style, self.size)

    @cached_property
    def outside(self) -> np.ndarray:
        """(size, size) bool: neither the thing, nor what it becomes, nor a margin of a fortieth around them."""
        ids = [
            look([scene], self.size, "cpu").ids.reshape(self.size, self.size) for scene in (self.scene, self.changed)
        ]
        inside = np.logical_or.reduce([np.asarray(each >= FIRST_THING) for each in ids]).astype(np.uint8)
        margin = 2 * (self.size // 40) + 1
        return cv2.dilate(inside, np.ones((margin, margin), np.uint8)) == 0


def _with(scene: Instant, attribute: str, value: str) -> Instant:
    if attribute == "sky":
        return replace(scene, sky=value)
    if attribute in ("shape", "colour"):
        thing = scene.things[0]
        changed = replace(thing, shape=value) if attribute == "shape" else replace(thing, colour=value)
        return replace(scene, things=(changed,))
    return scene


def _drawn(scene: Instant, style: str, size: int) -> np.ndarray:
    picture = render([scene], [style], size)[style][0]
    return (picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def edit_figures(judge: Judge, still: Still, result: np.ndarray) -> dict[str, float]:
    """Accuracy of the edit, what else is still found, error outside the thing (mean of 255), structure, PSNR."""
    asked = {name: judge.answer([result], QUESTIONS[name])[0] for name in ATTRIBUTES}
    true = answers(still.changed, still.wanted_style)
    others = [asked[name] in true[name] for name in ATTRIBUTES if name != still.task.attribute and true[name]]
    difference = np.abs(result.astype(np.float32) - still.source)
    return {
        "accuracy": float(asked[still.task.attribute] == still.task.after),
        "others": float(np.mean(others)),
        "background": float(difference[still.outside].mean()) if still.task.local else float("nan"),
        "structure": structure_distance(judge.tower, [result], [still.source]),
        "psnr": psnr(result, still.truth),
    }


def swapped(caption: str, task: Task) -> str:
    """The caption with what it says of the attribute in the words of the change; unchanged where it says nothing."""
    padded = f" {caption} "
    if read_caption(caption)[task.attribute] is None:
        return caption
    return padded.replace(f" {task.words[0]} ", f" {task.words[1]} ").strip()


@dataclass(frozen=True)
class Edited:
    """Task -> recipe -> measure -> mean over stills; ``examples``: task -> recipe -> the first pictures."""

    options: EditsOptions
    base: TranslateOptions
    rows: dict[str, dict[str, dict[str, float]]]
    examples: dict[str, dict[str, list[np.ndarray]]]

    def json(self) -> str:
        protocol = {"benchmark": asdict(self.options), "edit": asdict(self.base)}
        return json.dumps(finite({"protocol": protocol, "figures": self.rows}), indent=2, default=str, allow_nan=False)


def measure_edits(
    options: EditsOptions,
    base: TranslateOptions,
    folder: Path,
    recipes: dict[str, dict[str, Any]] | None = None,
    tasks: Sequence[Task] = TASKS,
    report: Report = ignore,
) -> Edited:
    """Edit every still by every recipe and measure it. ``folder`` holds directions and shared inversions."""
    recipes = RECIPES if recipes is None else recipes
    device = choose_device(base.device)
    backend = StableDiffusion(base.model, device, choose_dtype(base.dtype, device))
    judge = Judge(options.judge, str(device))
    captioner = Captioner(base.captioner or backend.captioner or "", device)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    examples: dict[str, dict[str, list[np.ndarray]]] = {}
    total, done = len(tasks) * options.stills * len(recipes), 0
    for task in tasks:
        direction = folder / f"{task.name.replace(' ', '-')}.safetensors"
        save(templated(backend.text, *task.words), direction)
        found: dict[str, list[dict[str, float]]] = {}
        shown = examples.setdefault(task.name, {})
        for number in range(options.stills):
            still = Still(task, number, options)
            caption = captioner.captions([still.source])[0]
            results = {"truth": still.truth, "source": still.source}
            for name, picture in results.items():
                found.setdefault(name, []).append(edit_figures(judge, still, picture))
            store = Store(folder / "store")
            for name, recipe in recipes.items():
                asked = dict(recipe)
                by = asked.pop("by")
                asked |= {"source_prompt": caption, "size": options.size, "coherence": "none"}
                if by == "direction":
                    asked["directions"] = ((str(direction), 1.0),)
                prompt = None if by == "direction" else swapped(caption, task)
                results[name] = _edited(backend, replace(base, **asked), prompt, store, still.source)
                found.setdefault(name, []).append(edit_figures(judge, still, results[name]))
                done += 1
                report(Progress(stage="measure", done=done, total=total, unit="edit"))
            store.clear()
            if number < 6:
                for name, picture in results.items():
                    shown.setdefault(name, []).append(picture)
        rows[task.name] = {
            name: {key: mean([each[key] for each in stills]) for key in stills[0]} for name, stills in found.items()
        }
    return Edited(options, base, rows, examples)


def _edited(
    backend: Backend, options: TranslateOptions, prompt: str | None, store: Store, picture: np.ndarray
) -> np.ndarray:
    """One still through the engine with a model that is loaded already, (h, w, 3) uint8."""
    translator = Translator(backend, options, prompt, store, ignore)
    drawings = Drawings((Frame(0, Fraction(0), picture),), (0,))
    made = translator.shot(0, drawings, (picture.shape[1], picture.shape[0]))
    translator.finish()
    return made.pictures[0]


def noise_statistics(noise: torch.Tensor) -> Iterator[tuple[str, float]]:
    """Of inverted latents (f, c, h, w): mean, variance, and the correlation with the neighbour along both axes."""
    yield "mean", float(noise.mean())
    yield "variance", float(noise.var())
    for axis, name in ((2, "down"), (3, "across")):
        centred = noise - noise.mean((2, 3), keepdim=True)
        yield f"correlation {name}", float((centred * centred.roll(1, axis)).mean() / centred.square().mean())
