"""Run a jobs file: what is left of it, row by row, with a journal and a report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnpvideo import __version__
from pnpvideo.batch.checks import check_each, check_places, taken_over
from pnpvideo.batch.journal import DONE, FAILED, STARTED, Journal, journal_path, locked
from pnpvideo.batch.rows import Common, Row, read_rows
from pnpvideo.batch.work import Engine, OneProcess, Outcome, outcome_of
from pnpvideo.errors import InputError, PnPVideoError, printable
from pnpvideo.events import Event, Notice, Progress, Report, ignore
from pnpvideo.option import plain
from pnpvideo.sidecar import is_repeated
from pnpvideo.store import fingerprint


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """What became of every row, in the order of the jobs file."""

    jobs: Path
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.state == "failed")

    def record(self) -> dict[str, Any]:
        """The report, ready for JSON."""
        states = [outcome.state for outcome in self.outcomes]
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        return {"jobs": str(self.jobs), "counts": counts, "rows": [outcome.record() for outcome in self.outcomes]}


def run(
    jobs: Path | str,
    *,
    common: Common | None = None,
    journal: Path | str | None = None,
    anywhere: bool = False,
    dry_run: bool = False,
    engine: Engine | None = None,
    report: Report = ignore,
) -> BatchReport:
    """Translate every row of a jobs file that its journal does not have as done.

    common: options from outside the file. journal: None: beside the file (see journal_path). anywhere: whether the
    file's paths may leave its folder. dry_run: check everything, and say what would be done. engine: what runs the
    rows, such as ``RayCluster``; None: this process, one after the other.

    Everything is checked before any work begins; raises the PnPVideoError of the first row that is wrong. After that,
    an error ends its own row only, and is in the report.
    """
    path = Path(jobs)
    rows = read_rows(path, common or Common(), anywhere=anywhere)
    place = journal_path(path) if journal is None else Path(journal)
    if dry_run:
        return _Batch(path, rows, Journal.read(place), report).plan()
    with locked(place) as opened:
        return _Batch(path, rows, opened, report).run(engine or OneProcess())


NAMING_FILES = ("model", "mask", "directions", "control", "controlnet")
"""Options whose files a key has by their contents."""


def row_key(row: Row, hashes: Hashes, folder: Path) -> str:
    """Hash of all that decides a row's output, and of where that goes.

    Files count by their contents and outputs from ``folder`` on, so that a folder with its journal may be moved.
    """
    from pnpvideo.engine.keys import FORMAT

    flat = row.options.flat()
    options = {name: value for name, value in flat.items() if is_repeated(name) and name not in NAMING_FILES}
    directions = [(hashes.of_file(Path(file)), strength) for file, strength in row.options.prompts.directions]
    files = [None if path is None else hashes.of_file(path) for path in (row.input, row.options.region.mask)]
    controls = [
        (
            each.condition if each.made else hashes.of_file(Path(each.condition)),
            each.scale,
            hashes.of_file(Path(each.model)),
        )
        for each in row.options.control.stated()
    ]
    model, output = hashes.of_model(row.options.model), os.path.relpath(row.output, folder)
    return fingerprint(__version__, FORMAT, row.prompt, output, plain(options), files, directions, controls, model)


class Hashes:
    """Hashes of files and models, each computed once. What is no file or folder has an empty one. Raises OSError."""

    def __init__(self) -> None:
        self._files: dict[Path, str] = {}
        self._models: dict[str, str] = {}

    def of_file(self, path: Path) -> str:
        from pnpvideo.report import content_hash

        if path not in self._files:
            is_readable = path.is_file() or path.is_dir()  # a pipe would be waited for
            self._files[path] = content_hash(path) if is_readable else ""
        return self._files[path]

    def of_model(self, model: str) -> str:
        """The fingerprint of a local folder's weights; the name of a model that is on the hub."""
        from pnpvideo.backends.checkpoint import COVERED
        from pnpvideo.backends.fingerprint import fingerprint as weights
        from pnpvideo.settings.models import resolve

        if model not in self._models:
            folder = Path(resolve(model))
            self._models[model] = weights(folder, COVERED) if folder.is_dir() else model
        return self._models[model]


class _Batch:
    """The rows of one call, of which those that are done are known. A Watcher: it alone writes the journal."""

    def __init__(self, path: Path, rows: Sequence[Row], journal: Journal, report: Report) -> None:
        self.path, self.journal, self.report = path, journal, report
        hashes = Hashes()
        self.outcomes: dict[int, Outcome] = {}
        self.left: list[tuple[str, Row]] = []
        self.shares: dict[int, float] = {}
        unread: dict[int, PnPVideoError] = {}
        try:
            check_places(rows, [path, journal.path])
            for row in rows:
                try:
                    key = row_key(row, hashes, path.absolute().parent)
                except OSError as error:
                    unread[row.number] = InputError(f"{printable(str(error))}; make it readable")
                    key = ""
                if (line := journal.done(key, Path(row.output))) is None:
                    self.left.append((key, taken_over(row, key, journal)))
                else:
                    known = outcome_of(row, "done before", output_sha256=line["output_sha256"])
                    self.outcomes[row.number] = known
            check_each([row for _, row in self.left], report, unread)
        except PnPVideoError as error:
            raise type(error)(f"{printable(str(path))}: {error}") from error
        self.keys = {row.number: key for key, row in self.left}

    def plan(self) -> BatchReport:
        self.outcomes |= {row.number: outcome_of(row, "to do") for _, row in self.left}
        return self._report()

    def run(self, engine: Engine) -> BatchReport:
        if self.outcomes:
            self.report(Notice(message=f"{len(self.outcomes)} rows are done, by {self.journal.path}"))
        if self.left:
            engine.run([row for _, row in self.left], self)
        return self._report()

    def started(self, row: Row) -> None:
        self.shares[row.number] = 0.0
        self.journal.write(self.keys[row.number], STARTED, {"row": row.number, "output": row.output})

    def heard(self, row: Row, event: Event) -> None:
        """Pass notices on with the row that they are about; of a row's progress, its share of the whole."""
        if isinstance(event, Notice):
            self.report(Notice(message=f"{row}: {event.message}"))
        elif isinstance(event, Progress) and event.overall is not None:
            self.shares[row.number] = event.overall
            self.report(self._progress())

    def ended(self, row: Row, outcome: Outcome) -> None:
        self.journal.write(self.keys[row.number], DONE if outcome.state == "done" else FAILED, outcome.record())
        self.shares.pop(row.number, None)
        self.outcomes[row.number] = outcome
        if outcome.error is not None:
            self.report(Notice(message=f"{row} failed: {outcome.error}"))
        self.report(self._progress())

    def _report(self) -> BatchReport:
        return BatchReport(jobs=self.path, outcomes=tuple(self.outcomes[number] for number in sorted(self.outcomes)))

    def _progress(self) -> Progress:
        total = len(self.left)
        done = sum(number in self.outcomes for number in self.keys)
        overall = (done + sum(self.shares.values())) / total
        return Progress(stage="batch", done=done, total=total, unit="row", overall=overall)
