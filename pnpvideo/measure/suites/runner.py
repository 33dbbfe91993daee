"""Run a benchmark: edit every row by every recipe through the engine, measure, and keep what is done."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.engine.keys import FORMAT
from pnpvideo.engine.run import Run
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.errors import InputError, OptionError, printable
from pnpvideo.events import Notice, Progress, Report, ignore
from pnpvideo.measure.benchmark import check_recipes
from pnpvideo.measure.footage import blur
from pnpvideo.measure.journal import Journal
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.result import SuiteResult
from pnpvideo.measure.suites.results_folder import load_result, save_result
from pnpvideo.measure.suites.row import Frames, Row, Suite
from pnpvideo.option import plain
from pnpvideo.pipeline import translated
from pnpvideo.report import content_hash
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.store.digest import fingerprint
from pnpvideo.video.clip import Frame
from pnpvideo.video.destination import make_folder
from pnpvideo.video.pixels import resize, to_working, working_size
from pnpvideo.video.read import without_repeats
from pnpvideo.words.prompt_weights import check_weights

BASELINES = ("source", "source, autoencoder", "source, blurred", "one colour")
"""Results without a method, measured beside the recipes."""
RESERVED_OPTIONS = (
    *("source_prompt", "captioner", "change", "directions", "mask", "frames", "generate"),
    *("store", "overwrite", "decoder", "track", "allow_partial"),
)
"""Options that a benchmark sets itself."""
SHOWN = 6
"""Rows on the contact sheet."""
FPS = 24


@dataclass(frozen=True, kw_only=True)
class SuiteOptions:
    """rows: how many, evenly spread over the set; None: all. modes: how to measure. output: the folder of results and
    journal, with which an interrupted run goes on; None: nothing is kept."""

    rows: int | None = None
    modes: Sequence[Mode] = tuple(Mode)
    output: Path | None = None


def run_suite(
    suite: Suite,
    every: Sequence[Row],
    base: Options,
    recipes: Mapping[str, Mapping[str, Any]],
    judges: Judges,
    options: SuiteOptions,
    report: Report = ignore,
) -> SuiteResult:
    """Edit and measure the rows of a benchmark.

    every: all rows of the data, see ``read_rows``. recipes: changes to ``base``, by name. Raises OptionError for a
    wrong recipe, before any work.
    """
    check_recipes(base, recipes, BASELINES, RESERVED_OPTIONS)
    folders = {name: re.sub(r"[^\w.-]+", "-", name) for name in recipes}
    if len(set(folders.values())) < len(folders):
        raise OptionError(f"recipes {', '.join(recipes)} have names too much alike for folders; rename them")
    rows = spread(every, options.rows)
    for name, why in judges.missing.items():
        report(Notice(message=f"{name} is not run: {why}"))
    if options.output is not None:
        make_folder(options.output)
    backend = load(base.model, base.runtime, report, base.customization)
    journal = options.output / "journal.jsonl" if options.output is not None else None
    known = Journal.of(journal, backend, (suite.name, tuple(judges.protocol.items())), base)
    figures: dict[Mode, dict[str, list[tuple[str, dict[str, float]]]]] = {
        mode: {name: [] for name in (*BASELINES, *recipes)} for mode in options.modes
    }
    shown: dict[str, Frames] = {name: [] for name in (*BASELINES, *recipes)}
    notices = without_repeats(_notices(report))
    with _store(options.output) as store:
        for done, row in enumerate(rows):
            report(Progress(stage="measure", done=done, total=len(rows), unit="edit"))
            edit = _Edit(backend, row, row.frames(ignore), store, notices)
            results: dict[str, Callable[[], Frames]] = {name: partial(edit.baseline, name) for name in BASELINES}
            for name, changes in recipes.items():
                place = None if options.output is None else options.output / "results" / folders[name] / row.name
                results[name] = partial(edit.result, base.changed(changes), place)
            for name, result in results.items():
                key = (edit.key, name, tuple(sorted(recipes.get(name, {}).items())))
                found = {mode: known.get(*key, mode.value) for mode in options.modes}
                frames = result() if done < SHOWN or None in found.values() else []
                for mode, before in found.items():
                    measured = before
                    if measured is None:
                        measured = suite.measure(judges, row, edit.source, frames, mode)
                        known.put(measured, *key, mode.value)
                    figures[mode][name].append((row.kind, measured))
                if done < SHOWN:
                    shown[name].append(frames[0])
            store.clear()
        report(Progress(stage="measure", done=len(rows), total=len(rows), unit="edit"))
    protocol = {
        "rows": len(rows),
        "rows of the data": len(every),
        "rows of the whole set": suite.complete,
        "model": f"{base.model} ({backend.fingerprint[:12]})",
        "options": plain(base.flat()),
        "set for all": {name: value for name, value in plain(base.stated()).items() if name != "model"},
        "recipes": {name: dict(changes) for name, changes in recipes.items()},
        "judges": dict(judges.protocol),
        "compat": suite.compat,
    }
    return SuiteResult(suite, protocol, figures, judges.missing, {suite.title: shown})


def read_rows(suite: Suite, data: Path, report: Report) -> list[Row]:
    """Every row of the data, checked. Raises InputError."""
    if not data.is_dir():
        raise InputError(f"{printable(str(data))} is no folder; give the folder of the unpacked data of {suite.title}")
    rows = suite.read(data, report)
    names = [row.name for row in rows]
    if not rows:
        raise InputError(f"{printable(str(data))} has no rows of {suite.title}")
    if len(set(names)) < len(names):
        twice = next(row for row in rows if names.count(row.name) > 1)
        raise InputError(f"{printable(twice.place)}: another row has its result, {printable(twice.name)}, too")
    for row in rows:
        try:
            check_weights(row.prompt, None, row.source_prompt)
        except OptionError as error:
            raise InputError(f"{printable(row.place)}: {error}") from error
    if len(rows) != suite.complete:
        said = f"the data has {len(rows)} edits; the whole {suite.title} has {suite.complete}"
        report(Notice(message=f"{said}: means cannot be compared with published ones"))
    return rows


def spread(rows: Sequence[Row], count: int | None) -> list[Row]:
    """``count`` of the rows, evenly spread from the first on; all where there are not more."""
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[index * len(rows) // count] for index in range(count)]


@dataclass(frozen=True)
class _Edit:
    """One row with its decoded source: what can be made of it."""

    backend: Backend
    row: Row
    source: Frames
    store: Store
    report: Report

    @property
    def key(self) -> str:
        """Fingerprint of everything that results and figures of the row depend on, besides options and judges."""
        mask = np.zeros(0, bool) if self.row.mask is None else self.row.mask
        masks = "" if self.row.masks is None else content_hash(self.row.masks)
        return fingerprint(self.row.name, self.row.prompt, self.row.source_prompt, mask, masks, tuple(self.source))

    def baseline(self, name: str) -> Frames:
        """The frames of one of BASELINES."""
        height, width = self.source[0].shape[:2]
        if name == "source":
            return self.source
        if name == "source, blurred":
            return blur(self.source)
        if name == "one colour":
            colour = np.mean(self.source, (0, 1, 2)).astype(np.uint8)
            return [np.full_like(self.source[0], colour)] * len(self.source)
        size = working_size(width, height, self.backend.size, self.backend.multiple)
        through = (self.backend.decode(self.backend.encode(to_working([frame], size)))[0] for frame in self.source)
        return [resize(frame, (width, height)) for frame in through]

    def result(self, options: Options, place: Path | None) -> Frames:
        """The frames that ``options`` make, from ``place`` if they are there already, else kept there."""
        options = options.changed({"source_prompt": self.row.source_prompt})
        key = fingerprint(FORMAT, self.backend.fingerprint, self.key, sorted(map(repr, options.stated().items())))
        kept = None if place is None else load_result(place, len(self.source), key)
        if kept is not None:
            return kept
        run = Run.of(self.backend, options, self.store, self.report)
        translator = ClipTranslator(run, self.row.prompt, len(self.source))
        frames = (Frame(index, Fraction(index, FPS), pixels) for index, pixels in enumerate(self.source))
        height, width = self.source[0].shape[:2]
        made = [picture for _, picture, _ in translated(translator, frames, (width, height))]
        if place is not None:
            save_result(place, made, key)
        translator.finish()
        return made


def _notices(report: Report) -> Report:
    """Pass notices on, and no progress of single translations."""
    return lambda event: report(event) if isinstance(event, Notice) else None


@contextlib.contextmanager
def _store(output: Path | None) -> Iterator[Store]:
    """A store for inversions, which the recipes of a row share. In ``output`` it stays after an interruption, so that
    the next run goes on from it."""
    if output is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Store(Path(folder))
    else:
        yield Store(output / "store")
        shutil.rmtree(output / "store", ignore_errors=True)
