"""Tune: find the options that suit a clip, by trying them on a few frames and measuring the results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from pnpvideo.backends.device import choose_device
from pnpvideo.engine.run import Run
from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Report, ignore, log
from pnpvideo.explore.cells import Cell
from pnpvideo.explore.grid import with_draft
from pnpvideo.explore.previews import flat_stated, places
from pnpvideo.explore.search import Goal, Measured, Range, first_points, next_point
from pnpvideo.explore.trial import Outcome, Trials
from pnpvideo.measure.clip import load_judges
from pnpvideo.measure.judge_measures import structure_distance
from pnpvideo.option import flag_of
from pnpvideo.publish import write_file
from pnpvideo.settings.options import KNOWN, OptionGroups, Options
from pnpvideo.store import Store
from pnpvideo.video.pixels import composite_over_white
from pnpvideo.words.prompt_weights import plain_text


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search may take, and what it is after.

    trials: sets of options to try, the defaults among them. frames: see ``preview``. judge: "miniature", or the folder
    or hub id of a CLIP model. max_structure, min_agreement: the bound, see Goal; None and None: the structure distance
    of the defaults is not exceeded.
    """

    trials: int = 12
    frames: int | Sequence[int | float] = 3
    judge: str = "miniature"
    max_structure: float | None = None
    min_agreement: float | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise OptionError(f"trials is {self.trials}; accepted is a whole number of at least 1")
        if self.max_structure is not None and self.min_agreement is not None:
            raise OptionError("max_structure and min_agreement are both given; one of them is the bound")


@dataclass(frozen=True)
class Tuning:
    """A finished search. dials: names of the options that it turned. tried: figures by trial, number 1 (the defaults)
    first, as in ``outcomes``. best: index of the best. record: JSON-ready."""

    dials: tuple[str, ...]
    goal: Goal
    tried: tuple[Measured, ...]
    outcomes: tuple[Outcome, ...]
    best: int
    record: Mapping[str, Any]

    @property
    def evaluations(self) -> int:
        """Of the network, over all trials, one frame in one lane each."""
        return sum(outcome.evaluations for outcome in self.outcomes)

    def flags(self) -> str:
        """The best values as flags of ``translate``."""
        values = zip(self.dials, self.tried[self.best].values, strict=True)
        return " ".join(f"{flag_of(name, KNOWN[name])[-1]} {value:g}" for name, value in values)

    def table(self) -> str:
        """What was tried, in Markdown; the best in bold."""
        names = ["trial", *(name.replace("_", " ") for name in self.dials), "agreement", "structure", "evaluations"]
        lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
        for index, (one, outcome) in enumerate(zip(self.tried, self.outcomes, strict=True)):
            cells = [str(index + 1), *(f"{value:g}" for value in one.values)]
            cells += [f"{one.agreement:.2f}", f"{one.structure:.2f}", str(outcome.evaluations)]
            lines.append(f"| {' | '.join(f'**{cell}**' if index == self.best else cell for cell in cells)} |")
        return "\n".join(lines)

    def save(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write the trials as JSON; ``pick`` takes the best, or any by its number. Raises OutputError."""
        content = json.dumps(self.record, indent=2) + "\n"
        write_file(Path(path), content.encode(), overwrite=overwrite)


def tune(
    input: Path | str,
    prompt: str,
    search: Search | None = None,
    *,
    model: str | Path = "miniature",
    report: Report = log,
    **options: Unpack[OptionGroups],
) -> Tuning:
    """Find guidance and the method's own thresholds for a clip and a prompt.

    A few frames are translated by each set of options and judged: agreement is 100 times CLIP's cosine with the prompt,
    structure the distance of self-similarities to the source's (see measure). What is set in ``options`` stays as it
    is. Where neither preset nor steps is set, the preset is "draft". Raises PnPVideoError.
    """
    search = search or Search()
    flat = Options(model=str(model), **options)
    frames = search.frames if isinstance(search.frames, int) else places(search.frames)
    trials = Trials(input, flat, report, frames=frames, stage="trial")
    return tune_cell(trials, Cell(prompt=prompt, values=with_draft(flat_stated(flat))), search)


def tune_cell(trials: Trials, cell: Cell, search: Search) -> Tuning:
    """Search from the options of ``cell``, the defaults."""
    options, prompt = cell.options(), cell.prompt
    if prompt is None:
        raise OptionError("a search needs a prompt, which the results are judged by")
    defaults = Run.of(trials.backend(options), options, Store(), ignore).options
    names = [name for name in dials_of(defaults) if name not in cell.values]
    if not names:
        raise OptionError("every option that a search turns is set already; leave one of them out")
    judge, tower = load_judges((search.judge,), str(choose_device(options.runtime.device)))
    source = [composite_over_white(frame.pixels) for frame in trials.chosen.frames]
    words = plain_text(prompt)
    outcomes: list[Outcome] = []
    tried: list[Measured] = []

    def attempt(values: tuple[float, ...]) -> None:
        number = len(tried) + 1
        changed = dict(zip(names, values, strict=True))
        texts = {name: f"{value:g}" for name, value in changed.items()}
        trial = Cell(number=number, prompt=prompt, values={**cell.values, **changed}, dials=texts)
        outcome = trials.run(trial, number - 1, search.trials)
        pictures = [composite_over_white(picture) for picture in outcome.pictures]
        agreement = 100 * float(judge.cosines(pictures, [words])[:, 0].mean())
        outcomes.append(outcome)
        tried.append(Measured(values, agreement, structure_distance(tower, pictures, source)))

    ranges = [_range(name, defaults) for name in names]
    flat = defaults.flat()
    begin = first_points(ranges, [float(flat[name]) for name in names])[: search.trials]
    attempt(begin[0])
    goal = _goal(search, tried[0])
    for point in begin[1:]:
        attempt(point)
    while len(tried) < search.trials and (following := next_point(ranges, tried, goal)) is not None:
        attempt(following)
    best = goal.best(tried)
    if goal.excess(tried[best]) > 0:
        trials.report(Notice(message=f"no trial keeps the bound; trial {best + 1} misses it least"))
    return Tuning(tuple(names), goal, tuple(tried), tuple(outcomes), best, _record(trials, outcomes, tried, best, goal))


def dials_of(options: Options) -> list[str]:
    """The options that a search turns for this method: those whose declaration has a range."""
    return [name for name in options.flat() if KNOWN[name].search is not None]


def _range(name: str, options: Options) -> Range:
    spec = KNOWN[name]
    assert spec.search is not None
    of_steps = options.sampling.steps if spec.search[1] <= 1.0 else None  # a share of the steps
    return Range.between(name, *spec.search, float(options.flat()[name]), of_steps)


def _goal(search: Search, default: Measured) -> Goal:
    if search.min_agreement is not None:
        return Goal(min_agreement=search.min_agreement)
    return Goal(max_structure=default.structure if search.max_structure is None else search.max_structure)


def _record(
    trials: Trials, outcomes: Sequence[Outcome], tried: Sequence[Measured], best: int, goal: Goal
) -> dict[str, Any]:
    record = trials.record(outcomes)
    for cell, one in zip(record["cells"], tried, strict=True):
        cell |= {"agreement": round(one.agreement, 4), "structure": round(one.structure, 4)}
    bound = {"max_structure": goal.max_structure, "min_agreement": goal.min_agreement}
    return {**record, "best": best + 1, **bound}
