"""The world's benchmark of edits: what should change in a picture is known, what should not, and how it should look."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.errors import OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.measure import benchmark
from pnpvideo.measure.benchmark import SPLITS, Frames, Measured, check_recipes, check_split, load_model
from pnpvideo.measure.figures import mean
from pnpvideo.measure.footage import Footage
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.model import read_caption
from pnpvideo.measure.structure import structure_distance
from pnpvideo.measure.success import attributes_found
from pnpvideo.measure.translation import translation
from pnpvideo.measure.warp import warp_error
from pnpvideo.miniature.world import STYLES, Scene, random_scene
from pnpvideo.miniature.world.questions import QUESTIONS
from pnpvideo.option import plain
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.clip import Shot
from pnpvideo.words.caption import Captioner

SHOWN = 6
"""How many of a task's pictures, or frames of its first clip, are kept to be looked at."""
STYLE = "style"


@dataclass(frozen=True)
class Task:
    """``attribute`` of a scene goes from ``before`` to ``after``; ``words``: how captions and templates say the two."""

    attribute: str
    before: str
    after: str
    words: tuple[str, str]

    @property
    def local(self) -> bool:
        """Does a thing change, and not the whole picture?"""
        return self.attribute in ("shape", "colour")

    @property
    def name(self) -> str:
        return f"{self.before} to {self.after}"

    def footage(self, number: int, options: "EditsOptions") -> Footage:
        """A scene with one thing, in daylight where the sky is to change; styles take turns, but for the night's."""
        scene = random_scene(SPLITS[options.split] + number, things=1)
        before, after = (_with(scene, self.attribute, value) for value in (self.before, self.after))
        lit = [style for style in STYLES if style != "night"]
        drawn = self.before if self.attribute == STYLE else lit[number % len(lit)]
        wanted = self.after if self.attribute == STYLE else drawn
        return Footage(after, drawn, wanted, options.frames, options.size, before)

    def swapped(self, caption: str) -> str:
        """The caption with its words for ``before`` exchanged; as it is where it does not say them."""
        if read_caption(caption)[self.attribute] != self.before:
            return caption
        return f" {caption} ".replace(f" {self.words[0]} ", f" {self.words[1]} ").strip()


TASKS = (
    Task("shape", "ball", "cube", ("ball", "cube")),
    Task("colour", "red", "blue", ("red", "blue")),
    Task(STYLE, "cartoon", "photo", ("cartoon", "photo")),
    Task("sky", "day", "sunset", ("in daylight", "at sunset")),
)


@dataclass(frozen=True)
class Recipe:
    """``changes`` to the options of all; swapped: the change is said by a prompt, the caption with the words of the
    task exchanged, instead of by a direction. local: it is for tasks that change a thing, and not the whole picture."""

    changes: Mapping[str, Any]
    swapped: bool = False
    local: bool = False

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> "Recipe":
        """pix2pix-zero is told by a direction, as is what keeps the background; others by words."""
        kept = bool(changes.get("keep_background"))
        return cls(changes, swapped=changes.get("method") != "pix2pix-zero" and not kept, local=kept)


_ZERO: dict[str, Any] = {"method": "pix2pix-zero"}
_DDIM: dict[str, Any] = {
    "method": "pnp",
    "feature_until": 0.0,
    "attention_until": 0.0,
    "fresh_noise": 0.0,
    "solver": "ddim",
    "spacing": "checkpoint",
}
_STRONGER: dict[str, Any] = {"keep_background": True, "guidance": 3.0, "change_strength": 1.2}
STILLS: dict[str, Recipe] = {
    "pix2pix-zero": Recipe(_ZERO),
    "background kept": Recipe({**_ZERO, "keep_background": True}, local=True),
    "background kept, stronger": Recipe({**_ZERO, **_STRONGER}, local=True),
    "not regularised": Recipe({**_ZERO, "regularize": 0.0}),
    "pyramid gain 1": Recipe({**_ZERO, "regularize": 1.0}),
    "direction as published": Recipe({**_ZERO, "placement": "start"}),
    "words, no direction": Recipe(_ZERO, swapped=True),
    "no guidance by maps": Recipe({**_ZERO, "cross_attention": 0.0}),
    "words swapped, ddim": Recipe(_DDIM, swapped=True),
    "words swapped, pnp": Recipe({"method": "pnp"}, swapped=True),
    "direction, pnp": Recipe({"method": "pnp"}),
    "direction, pnp, background kept, stronger": Recipe({"method": "pnp", **_STRONGER}, local=True),
    "sdedit 0.5": Recipe({"method": "sdedit", "strength": 0.5}, swapped=True),
    "sdedit 0.7": Recipe({"method": "sdedit", "strength": 0.7}, swapped=True),
    "sdedit 0.9": Recipe({"method": "sdedit", "strength": 0.9}, swapped=True),
}
"""What stills are edited by, where nothing is named: the method, each of its parts off, and others beside it."""
CLIPS: dict[str, Recipe] = {
    "pix2pix-zero, flow": Recipe({**_ZERO, "coherence": "flow"}),
    "pix2pix-zero, joint": Recipe({**_ZERO, "coherence": "joint"}),
    "pix2pix-zero, each frame": Recipe({**_ZERO, "coherence": "none"}),
    "direction, pnp, flow": Recipe({"method": "pnp", "coherence": "flow"}),
}
FLOORS = ("truth", "source", "source, autoencoder")
SET_HERE = (
    *("source_prompt", "captioner", "change", "directions", "mask", "frames", "generate"),
    *("store", "overwrite", "size", "decoder", "track", "allow_partial"),
)
"""Options that the benchmark sets itself."""


@dataclass(frozen=True, kw_only=True)
class EditsOptions:
    """pictures for each task, each a still or, of more ``frames``, a clip; ``size`` in pixels; split: "held-out" or
    "tuning"."""

    pictures: int = 200
    frames: int = 1
    size: int = 256
    split: str = "held-out"
    judge: str = "miniature"

    def __post_init__(self) -> None:
        check_split(self.split, "pictures", self.pictures)
        if self.frames < 1:
            raise OptionError(f"frames is {self.frames}; accepted is a whole number from 1")


def _with(scene: Scene, attribute: str, value: str) -> Scene:
    if attribute == "sky":
        return replace(scene, sky=value)
    if attribute in ("shape", "colour"):
        thing = scene.things[0]
        return replace(
            scene, things=(replace(thing, shape=value) if attribute == "shape" else replace(thing, colour=value),)
        )
    return scene


def edit_figures(judge: Judge, task: Task, footage: Footage, result: Sequence[np.ndarray]) -> dict[str, float]:
    """accuracy: share of frames of which the judge says what was asked for. found: share of all attributes that are as
    they should be. background: mean error of 255 outside the thing, against the truth, whose background is the
    source's, but for shadows, where a thing was to change. structure: against the source."""
    asked = judge.answer(result, QUESTIONS[task.attribute])
    outside = [
        np.abs(frame.astype(np.float32) - true)[where].mean()
        for frame, true, where in zip(result, footage.truth, footage.outside, strict=True)
    ]
    found = {
        "accuracy": float(np.mean([answer == task.after for answer in asked])),
        "found": attributes_found(judge, result, footage.scene, footage.wanted),
        "background": mean([float(error) for error in outside]),
        "structure": structure_distance(judge.tower, result, footage.source),
        "psnr": translation(result, footage.truth, footage.masks)["psnr"],
    }
    return found if len(result) < 2 else {**found, "warp": warp_error(result, footage.motions)}


def measure_edits(
    options: EditsOptions,
    base: Options,
    recipes: Mapping[str, Recipe] | None = None,
    tasks: Sequence[Task] = TASKS,
    report: Report = ignore,
    journal: Path | None = None,
) -> Measured:
    """Edit every picture by every recipe (``base`` with its changes), captioned but without a prompt, and measure it.

    journal: a file that keeps finished figures, so that an interrupted run continues where it stopped. Raises
    OptionError for a recipe that is not valid.
    """
    recipes = (STILLS if options.frames == 1 else CLIPS) if recipes is None else recipes
    check_recipes(base, {name: recipe.changes for name, recipe in recipes.items()}, FLOORS, SET_HERE)
    backend = load_model(base, options.size)
    if backend.captioner is None:
        raise OptionError(f"{base.model}: the benchmark is of the world, and this checkpoint has no captioner of it")
    judge, captioner = Judge(options.judge, str(backend.device)), Captioner(backend.captioner, backend.device)
    known = Journal.of(journal, backend, replace(options, pictures=1), base)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))

        def table(task: Task) -> benchmark.Task:
            @contextmanager
            def opened(number: int) -> Iterator[_Picture]:
                footage = task.footage(number, options)
                yield _Picture(
                    backend, judge, task, footage, editor(backend, captioner, task, footage, store), base, recipes
                )
                store.clear("trajectory")

            wanted = {name: recipe for name, recipe in recipes.items() if task.local or not recipe.local}
            keys = {name: (tuple(sorted(recipe.changes.items())), recipe.swapped) for name, recipe in wanted.items()}
            return benchmark.Task(task.name, opened, keys)

        shown = SHOWN if options.frames == 1 else 1
        rows, examples = benchmark.run(
            [table(task) for task in tasks], options.pictures, known, report, shown=shown, unit="edit"
        )
    return Measured({"benchmark": asdict(options), "translation": plain(base.flat())}, rows, examples)


@dataclass(frozen=True)
class _Picture:
    """One picture, or clip, of the benchmark of edits; see Subject."""

    backend: Backend
    judge: Judge
    task: Task
    footage: Footage
    edited: Callable[[Options, Recipe], Frames]
    base: Options
    recipes: Mapping[str, Recipe]

    def references(self) -> dict[str, Frames]:
        through = self.backend.decode(self.backend.encode(np.stack(self.footage.source)))
        return {"truth": self.footage.truth, "source": self.footage.source, "source, autoencoder": list(through)}

    def make(self, recipe: str) -> tuple[Frames, dict[str, float]]:
        return self.edited(self.base, self.recipes[recipe]), {}

    def figures(self, name: str, frames: Frames) -> dict[str, float]:
        return edit_figures(self.judge, self.task, self.footage, frames)


def editor(
    backend: Backend, captioner: Captioner, task: Task, footage: Footage, store: Store
) -> Callable[[Options, Recipe], Frames]:
    """Edits the footage by a recipe, with a model that is loaded; ``store`` keeps inversions, which recipes share."""
    caption = captioner.captions([footage.source[footage.frames // 2]])[0]
    drawings = footage.drawings()

    def edited(base: Options, recipe: Recipe) -> Frames:
        asked = {**recipe.changes, "source_prompt": caption, "size": footage.size}
        options = base.changed({**asked, "change": None if recipe.swapped else task.words})
        prompt = task.swapped(caption) if recipe.swapped else None
        translator = ClipTranslator.of(backend, options, prompt, store, ignore)
        made = translator.translate(Shot(0, drawings.frames), drawings, (footage.size, footage.size))
        translator.finish()
        return list(made.pictures)

    return edited
