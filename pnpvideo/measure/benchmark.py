"""The loop of all benchmarks: apply each recipe to each clip of each task, measure, and average into a table."""

import json
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.errors import OptionError
from pnpvideo.events import Progress, Report
from pnpvideo.measure.figures import nanmean, replace_nonfinite, table
from pnpvideo.measure.journal import Journal
from pnpvideo.miniature.recipe.data import HELD_OUT, TUNING
from pnpvideo.settings.options import Options

Frames = list[np.ndarray]
"""Pictures (h, w, 3) uint8, in order."""
SPLITS = {"held-out": HELD_OUT, "tuning": TUNING}
"""Split -> number of its first scene. Settings are chosen on the tuning split and reported on the held-out split."""


class Subject(Protocol):
    """One clip with its ground truth."""

    def baselines(self) -> Mapping[str, Frames]:
        """Rows to compare the recipes with, such as the ground truth and the untouched source."""
        ...

    def make(self, recipe: str) -> tuple[Frames, dict[str, float]]:
        """The result of a recipe, and figures of its cost."""
        ...

    def figures(self, name: str, frames: Frames) -> dict[str, float]:
        """Every measure of a result. name: of its recipe or baseline."""
        ...


@dataclass(frozen=True)
class BenchmarkTask:
    """One table. open: a context with the clip of a number. recipes: name -> a key of everything that its figures
    depend on besides the task, the number of the clip and the context of the journal."""

    name: str
    open: Callable[[int], AbstractContextManager[Subject]]
    recipes: Mapping[str, Hashable]


@dataclass(frozen=True)
class BenchmarkResult:
    """Result of a benchmark.

    protocol: all options. rows: task -> recipe -> measure -> mean over the clips. examples: task -> recipe -> pictures.
    """

    protocol: dict[str, Any]
    rows: dict[str, dict[str, dict[str, float]]]
    examples: dict[str, dict[str, Frames]]

    def markdown(self) -> str:
        """A heading and a table for each task."""
        return "\n\n".join(f"### {task}\n\n{table(rows)}" for task, rows in self.rows.items())

    def json(self) -> str:
        """One strict JSON object: the protocol and every figure, null where it is not a finite number."""
        found = replace_nonfinite({"protocol": self.protocol, "figures": self.rows})
        return json.dumps(found, indent=2, default=str, allow_nan=False)


@dataclass
class _Tally:
    """Figures and example pictures of one task, by recipe."""

    rows: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    shown: dict[str, Frames] = field(default_factory=dict)

    def add(self, name: str, row: dict[str, float], frames: Frames) -> None:
        self.rows.setdefault(name, []).append(row)
        self.shown.setdefault(name, []).extend(frames)

    def means(self) -> dict[str, dict[str, float]]:
        """Recipe -> measure -> mean over the clips that have it, for the measures of the first clip."""
        return {
            name: {key: nanmean([row[key] for row in rows if key in row]) for key in rows[0]}
            for name, rows in self.rows.items()
        }


def run_benchmark(
    tasks: Sequence[BenchmarkTask],
    clips: int,
    journal: Journal,
    report: Report,
    *,
    shown: int = 1,
    unit: str = "recipe",
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, dict[str, Frames]]]:
    """Measure every recipe on ``clips`` clips of every task: (rows, examples) of BenchmarkResult.

    Figures in the journal are not measured again, except those of the first ``shown`` clips of a task, whose pictures
    are the examples. unit: of the progress events.
    """
    total, done = clips * sum(len(task.recipes) for task in tasks), 0
    tallies: dict[str, _Tally] = {}
    for task in tasks:
        tally = tallies[task.name] = _Tally()
        for number in range(clips):
            keep = number < shown
            with task.open(number) as subject:
                for name, frames in subject.baselines().items():
                    tally.add(name, subject.figures(name, frames), frames if keep else [])
                for name, key in task.recipes.items():
                    frames = []
                    row = None if keep else journal.get(task.name, number, key)
                    if row is None:
                        frames, costs = subject.make(name)
                        row = {**costs, **subject.figures(name, frames)}
                        journal.put(row, task.name, number, key)
                    tally.add(name, row, frames if keep else [])
                    done += 1
                    report(Progress(stage="measure", done=done, total=total, unit=unit, shot=number + 1))
    return (
        {name: tally.means() for name, tally in tallies.items()},
        {name: tally.shown for name, tally in tallies.items()},
    )


def check_split(split: str, name: str, clips: int) -> None:
    """Raise OptionError for an unknown split, or for more clips than it has scenes. name: the option of ``clips``."""
    if split not in SPLITS:
        raise OptionError(f"split is {split!r}; accepted: {', '.join(SPLITS)}")
    if not 1 <= clips < TUNING - HELD_OUT:
        raise OptionError(f"{name} is {clips}; accepted is a whole number from 1, below {TUNING - HELD_OUT:,}")


def check_recipes(
    base: Options,
    recipes: Mapping[str, Mapping[str, Any]],
    baselines: Collection[str],
    reserved: Collection[str],
) -> None:
    """Raise OptionError if there is no recipe, if one has the name of a baseline, or if one (or ``base``) sets a
    ``reserved`` option, which the benchmark sets itself."""
    if not recipes:
        raise OptionError("there is no recipe to measure; give a table of options for each")
    for name, changes in {"the options of all recipes": base.stated(), **recipes}.items():
        if name in baselines:
            raise OptionError(f"a recipe is called {name!r}, as a baseline is; not accepted: {', '.join(baselines)}")
        for option in (option for option in reserved if option in changes):
            raise OptionError(f"{name}: {option} is set, which the benchmark itself sets; leave it out")


def load_model(base: Options, size: int) -> Backend:
    """Load the model of ``base``. Raises OptionError if it does not accept pictures of ``size`` pixels."""
    backend = load(base.model, base.runtime, customization=base.customization)
    if size % backend.multiple:
        raise OptionError(f"size is {size}; accepted are multiples of {backend.multiple}, which the model takes")
    return backend
