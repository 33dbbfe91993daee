"""The world's benchmark: held-out clips translated by several recipes, measured against exact ground truth."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pnpvideo.errors import OptionError
from pnpvideo.events import Progress, Report, ignore
from pnpvideo.measure.figures import figures, mean
from pnpvideo.measure.footage import FLOORS, Footage, floors
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.recipes import Measured, check, opened
from pnpvideo.miniature.recipe.data import HELD_OUT, TUNING
from pnpvideo.miniature.world import STYLES, random_scene
from pnpvideo.options import TranslateOptions
from pnpvideo.translate import translate
from pnpvideo.video.read import read

RECIPES: dict[str, dict[str, Any]] = {
    "pnp, each frame": {"method": "pnp", "coherence": "none"},
    "pnp, joint": {"method": "pnp", "coherence": "joint"},
    "pnp, flow": {"method": "pnp", "coherence": "flow"},
    "sdedit 0.3": {"method": "sdedit", "coherence": "none", "strength": 0.3},
    "sdedit 0.5": {"method": "sdedit", "coherence": "none", "strength": 0.5},
    "sdedit 0.7": {"method": "sdedit", "coherence": "none", "strength": 0.7},
    "sdedit 0.9": {"method": "sdedit", "coherence": "none", "strength": 0.9},
}
"""The recipes that are measured where none are named: options that differ from those given."""
SET_HERE = ("source_prompt", "frames", "generate", "store", "overwrite", "size", "decoder", "allow_partial")
"""Options that a benchmark sets itself."""


@dataclass(frozen=True, kw_only=True)
class WorldOptions:
    """clips of ``frames`` frames and ``size`` pixels for each task; split: "held-out" or "tuning"."""

    clips: int = 16
    frames: int = 8
    size: int = 256
    tasks: tuple[tuple[str, str], ...] = (("cartoon", "photo"), ("sketch", "photo"))
    split: str = "held-out"
    judge: str = "miniature"

    def __post_init__(self) -> None:
        if self.split not in ("held-out", "tuning"):
            raise OptionError(f"split is {self.split!r}; accepted: held-out, tuning")
        if not 1 <= self.clips <= TUNING - HELD_OUT - 1:
            raise OptionError(f"clips is {self.clips}; accepted is a whole number from 1, below {TUNING - HELD_OUT:,}")
        for style in (style for task in self.tasks for style in task):
            if style not in STYLES:
                raise OptionError(f"the world knows no style {style!r}; accepted: {', '.join(STYLES)}")

    def footage(self, task: tuple[str, str], number: int) -> Footage:
        first = HELD_OUT if self.split == "held-out" else TUNING
        return Footage(random_scene(first + number), *task, self.frames, self.size)


def measure_world(
    options: WorldOptions,
    base: TranslateOptions,
    recipes: dict[str, dict[str, Any]] | None = None,
    report: Report = ignore,
    journal: Path | None = None,
) -> Measured:
    """Translate every clip by every recipe (``base`` with its changes) and measure it beside the floors.

    ``journal``: a file that keeps each finished figure, so that an interrupted run goes on where it stopped (the first
    clip of a task is made again, for its pictures). Raises OptionError for a recipe that is none.
    """
    recipes = RECIPES if recipes is None else recipes
    check(base, recipes, FLOORS, SET_HERE)
    backend = opened(base, options.size)
    judge, base = Judge(options.judge, str(backend.device)), replace(base, size=options.size)
    known = Journal.of(journal, backend, replace(options, clips=1, tasks=()), base)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    examples: dict[str, dict[str, list[np.ndarray]]] = {}
    total, done = len(options.tasks) * options.clips * len(recipes), 0
    for task in options.tasks:
        name = f"{task[0]} to {task[1]}"
        found: dict[str, list[dict[str, float]]] = {}
        for number in range(options.clips):
            footage = options.footage(task, number)
            results = floors(footage, lambda frames: list(backend.decode(backend.encode(np.stack(frames)))))
            for floor, frames in results.items():
                found.setdefault(floor, []).append(figures(judge, footage, frames))
            with tempfile.TemporaryDirectory() as folder:
                translated = translator(Path(folder), footage)
                for recipe, changes in recipes.items():
                    row = None if number == 0 else known.get(task, number, sorted(changes.items()))
                    if row is None:
                        results[recipe] = translated(replace(base, **changes))
                        row = figures(judge, footage, results[recipe])
                        known.put(row, task, number, sorted(changes.items()))
                    found.setdefault(recipe, []).append(row)
                    done += 1
                    report(Progress(stage="measure", done=done, total=total, unit="recipe", shot=number))
            if number == 0:
                examples[name] = results
        rows[name] = {
            recipe: {key: mean([each[key] for each in clips]) for key in clips[0]} for recipe, clips in found.items()
        }
    protocol = {"benchmark": asdict(options), "translation": asdict(base)}
    return Measured(protocol, rows, examples)


def translator(folder: Path, footage: Footage) -> Callable[[TranslateOptions], list[np.ndarray]]:
    """Translates the footage's drawing; ``folder`` keeps inversions, which recipes share."""
    given = folder / "source"
    given.mkdir()
    for index, picture in enumerate(footage.source):
        Image.fromarray(picture).save(given / f"{index:03d}.png")

    def translated(options: TranslateOptions) -> list[np.ndarray]:
        asked = replace(options, source_prompt=footage.source_prompt, store=folder / "store", overwrite=True)
        translate(given, footage.prompt, folder / "result", asked)
        return [frame.pixels for frame in read(folder / "result").frames()]

    return translated
