"""The benchmark of translation: held-out clips of the procedural world, measured against exact ground truth."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from PIL import Image

from pnpvideo.backends.backend import Backend
from pnpvideo.errors import OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.measure.benchmark import (
    SPLITS,
    BenchmarkResult,
    BenchmarkTask,
    Frames,
    check_recipes,
    check_split,
    load_model,
    run_benchmark,
)
from pnpvideo.measure.figures import measure_all
from pnpvideo.measure.footage import BASELINES, Footage, KnownClip, baselines
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.judge import Judge
from pnpvideo.miniature.world import STYLES, random_scene
from pnpvideo.option import plain
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.video.read import read

F = TypeVar("F", bound=KnownClip)

RECIPES: dict[str, dict[str, Any]] = {
    "pnp, each frame": {"method": "pnp", "coherence": "none"},
    "pnp, joint": {"method": "pnp", "coherence": "joint"},
    "pnp, flow": {"method": "pnp", "coherence": "flow"},
    "sdedit 0.3": {"method": "sdedit", "coherence": "none", "strength": 0.3},
    "sdedit 0.5": {"method": "sdedit", "coherence": "none", "strength": 0.5},
    "sdedit 0.7": {"method": "sdedit", "coherence": "none", "strength": 0.7},
    "sdedit 0.9": {"method": "sdedit", "coherence": "none", "strength": 0.9},
    "flowedit 0.7": {"method": "flowedit", "strength": 0.7},
    "flowedit 0.9": {"method": "flowedit", "strength": 0.9},
}
"""Default recipes: changes to the base options."""
RESERVED_OPTIONS = (
    "source_prompt",
    "frames",
    "generate",
    "store",
    "overwrite",
    "size",
    "decoder",
    "track",
    "allow_partial",
)
"""Options that a benchmark sets itself."""


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """The clips of a benchmark of translations.

    clips: number for each task. frames: of each clip. size: width and height in pixels. tasks: pairs of styles (source,
    target), of ``styles``. split: "held-out" or "tuning". judge: see Judge.
    """

    clips: int
    frames: int
    size: int = 256
    tasks: tuple[tuple[str, str], ...]
    split: str = "held-out"
    judge: str = "miniature"
    styles: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        check_split(self.split, "clips", self.clips)
        for style in (style for task in self.tasks for style in task):
            if style not in self.styles:
                raise OptionError(f"there is no style {style!r}; accepted: {', '.join(self.styles)}")


@dataclass(frozen=True, kw_only=True)
class WorldOptions(ClipOptions):
    """Clips of the procedural world, in its styles; see ``ClipOptions``."""

    clips: int = 16
    frames: int = 8
    tasks: tuple[tuple[str, str], ...] = (("cartoon", "photo"), ("sketch", "photo"))
    styles = tuple(STYLES)

    def footage(self, task: tuple[str, str], number: int) -> Footage:
        """Clip ``number`` of a task."""
        return Footage(random_scene(SPLITS[self.split] + number), *task, self.frames, self.size)


def measure_world(
    options: WorldOptions,
    base: Options,
    recipes: dict[str, dict[str, Any]] | None = None,
    report: Report = ignore,
    journal: Path | None = None,
) -> BenchmarkResult:
    """Translate every clip by every recipe (``base`` with its changes) and measure the results and the baselines.

    journal: a file of finished figures, with which an interrupted run resumes. Raises OptionError for an invalid
    recipe.
    """
    return measure_translations(options, options.footage, measure_all, base, recipes, report, journal)


def measure_translations(
    options: ClipOptions,
    footage: Callable[[tuple[str, str], int], F],
    measure: Callable[[Judge, F, Frames], dict[str, float]],
    base: Options,
    recipes: dict[str, dict[str, Any]] | None = None,
    report: Report = ignore,
    journal: Path | None = None,
) -> BenchmarkResult:
    """``measure_world`` for any footage. footage: the clip of a task and a number. measure: the figures of a result."""
    recipes = RECIPES if recipes is None else recipes
    check_recipes(base, recipes, BASELINES, RESERVED_OPTIONS)
    backend = load_model(base, options.size)
    judge, base = Judge(options.judge, str(backend.device)), base.changed({"size": options.size})
    known = Journal.of(journal, backend, (replace(options, clips=1, tasks=()), judge.fingerprint), base)
    keys = {name: tuple(sorted(changes.items())) for name, changes in recipes.items()}

    def task(styles: tuple[str, str]) -> BenchmarkTask:
        @contextmanager
        def open_clip(number: int) -> Iterator[_Clip]:
            with tempfile.TemporaryDirectory() as folder:
                clip = footage(styles, number)
                figures = partial(measure, judge, clip)
                yield _Clip(backend, clip, make_translator(Path(folder), clip), figures, base, recipes)

        return BenchmarkTask(" to ".join(styles), open_clip, keys)

    rows, examples = run_benchmark([task(styles) for styles in options.tasks], options.clips, known, report)
    return BenchmarkResult({"benchmark": asdict(options), "translation": plain(base.flat())}, rows, examples)


@dataclass(frozen=True)
class _Clip:
    """One clip of the benchmark; see Subject."""

    backend: Backend
    footage: KnownClip
    translate: Callable[[Options], Frames]
    measure: Callable[[Frames], dict[str, float]]
    base: Options
    recipes: dict[str, dict[str, Any]]

    def baselines(self) -> dict[str, Frames]:
        return baselines(self.footage, lambda frames: list(self.backend.decode(self.backend.encode(np.stack(frames)))))

    def make(self, recipe: str) -> tuple[Frames, dict[str, float]]:
        return self.translate(self.base.changed(self.recipes[recipe])), {}

    def figures(self, name: str, frames: Frames) -> dict[str, float]:
        return self.measure(frames)


def make_translator(folder: Path, footage: KnownClip) -> Callable[[Options], Frames]:
    """A function that translates the footage's source; ``folder`` keeps inversions, which the recipes share."""
    source = folder / "source"
    source.mkdir()
    for index, picture in enumerate(footage.source):
        Image.fromarray(picture).save(source / f"{index:03d}.png")

    def translate_source(options: Options) -> Frames:
        options = options.changed(
            {"source_prompt": footage.source_prompt, "store": folder / "store", "overwrite": True}
        )
        translate(source, footage.prompt, folder / "result", options)
        return [frame.pixels for frame in read(folder / "result").frames()]

    return translate_source
