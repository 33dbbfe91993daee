"""The world's benchmark: held-out clips translated by several recipes, measured against exact ground truth."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pnpvideo.backends.backend import Backend
from pnpvideo.errors import OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.measure.benchmark import SPLITS, Frames, Measured, Task, check_recipes, check_split, load_model, run
from pnpvideo.measure.figures import figures
from pnpvideo.measure.footage import FLOORS, Footage, floors
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.judge import Judge
from pnpvideo.miniature.world import STYLES, random_scene
from pnpvideo.option import plain
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
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
"""Recipes that are measured by default: options that differ from those given."""
SET_HERE = ("source_prompt", "frames", "generate", "store", "overwrite", "size", "decoder", "track", "allow_partial")
"""Options that a benchmark sets itself."""


@dataclass(frozen=True, kw_only=True)
class WorldOptions:
    """Which clips are measured. clips: for each task, of ``frames`` frames and ``size`` pixels.

    tasks: pairs of styles (drawn, wanted). split: "held-out" or "tuning". judge: see Judge.
    """

    clips: int = 16
    frames: int = 8
    size: int = 256
    tasks: tuple[tuple[str, str], ...] = (("cartoon", "photo"), ("sketch", "photo"))
    split: str = "held-out"
    judge: str = "miniature"

    def __post_init__(self) -> None:
        check_split(self.split, "clips", self.clips)
        for style in (style for task in self.tasks for style in task):
            if style not in STYLES:
                raise OptionError(f"the world knows no style {style!r}; accepted: {', '.join(STYLES)}")

    def footage(self, task: tuple[str, str], number: int) -> Footage:
        """Clip ``number`` of a task."""
        return Footage(random_scene(SPLITS[self.split] + number), *task, self.frames, self.size)


def measure_world(
    options: WorldOptions,
    base: Options,
    recipes: dict[str, dict[str, Any]] | None = None,
    report: Report = ignore,
    journal: Path | None = None,
) -> Measured:
    """Translate every clip by every recipe (``base`` with its changes) and measure it beside the floors.

    journal: a file that keeps finished figures, so that an interrupted run continues where it stopped. Raises
    OptionError for a recipe that is not valid.
    """
    recipes = RECIPES if recipes is None else recipes
    check_recipes(base, recipes, FLOORS, SET_HERE)
    backend = load_model(base, options.size)
    judge, base = Judge(options.judge, str(backend.device)), base.changed({"size": options.size})
    known = Journal.of(journal, backend, replace(options, clips=1, tasks=()), base)
    keys = {name: tuple(sorted(changes.items())) for name, changes in recipes.items()}

    def task(styles: tuple[str, str]) -> Task:
        @contextmanager
        def opened(number: int) -> Iterator[_Clip]:
            with tempfile.TemporaryDirectory() as folder:
                footage = options.footage(styles, number)
                yield _Clip(backend, judge, footage, translator(Path(folder), footage), base, recipes)

        return Task(" to ".join(styles), opened, keys)

    rows, examples = run([task(styles) for styles in options.tasks], options.clips, known, report)
    return Measured({"benchmark": asdict(options), "translation": plain(base.flat())}, rows, examples)


@dataclass(frozen=True)
class _Clip:
    """One clip of the world's benchmark; see Subject."""

    backend: Backend
    judge: Judge
    footage: Footage
    translated: Callable[[Options], Frames]
    base: Options
    recipes: dict[str, dict[str, Any]]

    def references(self) -> dict[str, Frames]:
        return floors(self.footage, lambda frames: list(self.backend.decode(self.backend.encode(np.stack(frames)))))

    def make(self, recipe: str) -> tuple[Frames, dict[str, float]]:
        return self.translated(self.base.changed(self.recipes[recipe])), {}

    def figures(self, name: str, frames: Frames) -> dict[str, float]:
        return figures(self.judge, self.footage, frames)


def translator(folder: Path, footage: Footage) -> Callable[[Options], Frames]:
    """A function that translates the footage's source clip; ``folder`` keeps inversions, which recipes share."""
    given = folder / "source"
    given.mkdir()
    for index, picture in enumerate(footage.source):
        Image.fromarray(picture).save(given / f"{index:03d}.png")

    def translated(options: Options) -> Frames:
        asked = options.changed({"source_prompt": footage.source_prompt, "store": folder / "store", "overwrite": True})
        translate(given, footage.prompt, folder / "result", asked)
        return [frame.pixels for frame in read(folder / "result").frames()]

    return translated
