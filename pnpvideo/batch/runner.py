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
from pnpvideo.errors import InputError, ModelError, PnPVideoError, printable
from pnpvideo.events import Event, Notice, Progress, Report, ignore
from pnpvideo.kinds import File, FilePairs, Files, Model
from pnpvideo.option import plain
from pnpvideo.settings.options import KNOWN
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


def row_key(row: Row, hashes: Hashes, folder: Path) -> str:
    """Hash of all that decides a row's output, and of where that goes.

    Files count by their contents and outputs from ``folder`` on, so that a folder with its journal may be moved.
    """
    from pnpvideo.engine.keys import FORMAT

    flat = row.options.flat()
    options = {name: hashes.of_option(name, value) for name, value in flat.items() if is_repeated(name)}
    input = None if row.input is None else hashes.of_file(row.input)
    return fingerprint(__version__, FORMAT, row.prompt, os.path.relpath(row.output, folder), plain(options), input)


WHOLE = ("",)
"""All parts of a model's folder."""


class Hashes:
    """Hashes of files and models, each computed once. What is no file or folder has an empty one. Raises OSError."""

    def __init__(self) -> None:
        self._files: dict[Path, str] = {}
        self._models: dict[tuple[str, tuple[str, ...]], str] = {}

    def of_option(self, name: str, value: Any) -> Any:
        """The value of an option, with hashes of contents instead of the files that it names."""
        from pnpvideo.backends.checkpoint import COVERED

        kind = KNOWN[name].kind
        if value is None:
            return None
        if isinstance(kind, Model):
            return self.of_model(value, COVERED if name == "model" else WHOLE)
        if isinstance(kind, File):
            return self.of_place(Path(value))
        if isinstance(kind, Files):
            return [self.of_place(Path(file)) for file in value]
        if isinstance(kind, FilePairs):
            named = [(file, Path(file).stem if second == "" else second) for file, second in value]
            return [(file if file in kind.words else self.of_place(Path(file)), second) for file, second in named]
        return value

    def of_place(self, path: Path) -> list[str]:
        """The hashes of a file or folder that may be frames, or weights in several folders."""
        return [self.of_file(path), self.of_model(str(path), WHOLE) if path.is_dir() else ""]

    def of_file(self, path: Path) -> str:
        from pnpvideo.report import content_hash

        if path not in self._files:
            is_readable = path.is_file() or path.is_dir()  # a pipe would be waited for
            self._files[path] = content_hash(path) if is_readable else ""
        return self._files[path]

    def of_model(self, model: str, parts: tuple[str, ...]) -> str:
        """The fingerprint of the parts of a local folder, or of a single file and its card; the name of a model that
        is on the hub."""
        from pnpvideo.backends.fingerprint import fingerprint as weights
        from pnpvideo.settings.models import resolve

        if (model, parts) not in self._models:
            place = Path(resolve(model))
            found = weights(place, parts) if place.is_dir() or place.is_file() else model
            card = self.of_file(place.with_suffix(".pnpvideo.json")) if place.is_file() else ""
            self._models[model, parts] = found + card
        return self._models[model, parts]


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
                key = ""
                try:
                    key = row_key(row, hashes, path.absolute().parent)
                except ModelError as error:
                    unread[row.number] = error
                except OSError as error:
                    unread[row.number] = InputError(f"{printable(str(error))}; make it readable")
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
