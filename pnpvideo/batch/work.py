"""The unit of work of a batch: translate one row. Whatever runs rows, here or elsewhere, calls this."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pnpvideo.batch.helping import with_helpers
from pnpvideo.batch.rows import Row
from pnpvideo.errors import PnPVideoError
from pnpvideo.events import Event, Progress, Report, ignore
from pnpvideo.settings.options import Options

if TYPE_CHECKING:
    from pnpvideo.backends.backend import Backend


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a row.

    state: "done", "done before" (in the journal), "failed" or "to do" (of a dry run). error, exit_code: as the command
    line would end with; None and 0 unless it failed. output_sha256: None unless it is done.
    """

    number: int
    place: str
    input: str | None
    output: str
    state: str
    error: str | None = None
    exit_code: int = 0
    seconds: float = 0.0
    output_sha256: str | None = None

    def record(self) -> dict[str, Any]:
        return asdict(self)


class Watcher(Protocol):
    """Hears what becomes of rows while they are run; of several at a time, by their numbers."""

    def report(self, event: Event) -> None:
        """Hear of something that concerns no row alone."""
        ...

    def started(self, row: Row) -> None:
        """Hear that a row begins; again if it has to be begun anew."""
        ...

    def heard(self, row: Row, event: Event) -> None:
        """Hear an event of the translation of a row."""
        ...

    def ended(self, row: Row, outcome: Outcome) -> None:
        """Hear what became of a row, once."""
        ...


class Engine(Protocol):
    """Runs the rows of a batch somewhere."""

    def run(self, rows: Sequence[Row], watcher: Watcher) -> None:
        """Translate every row, and tell the watcher. Raises PnPVideoError where none can be run at all."""
        ...


class OneProcess:
    """Runs rows one after the other in this process, those that share a model after each other."""

    def run(self, rows: Sequence[Row], watcher: Watcher) -> None:
        models = Models(watcher.report)
        firsts = {row.options.model_key: number for number, row in reversed([*enumerate(rows)])}
        for row in sorted(rows, key=lambda row: firsts[row.options.model_key]):
            watcher.started(row)
            watcher.ended(row, translate_row(row, models, functools.partial(watcher.heard, row)))


class Models:
    """Loads the models of rows; the last one stays in memory until a row needs another. report: hears of loading."""

    def __init__(self, report: Report = ignore) -> None:
        self._report = report
        self._loaded: tuple[tuple[str, ...], Backend] | None = None

    def of(self, options: Options) -> Backend:
        """The model of these options. Raises ModelError and DeviceError."""
        from pnpvideo.backends.load import load

        key = options.model_key
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None
            self._report(Progress(stage="load", done=0, total=1, unit="model"))
            self._loaded = key, load(options.model, options.runtime, self._report, options.customization)
            self._report(Progress(stage="load", done=1, total=1, unit="model"))
        return self._loaded[1]


def translate_row(row: Row, models: Models | None = None, report: Report = ignore, *, shared: bool = False) -> Outcome:
    """Translate a row and say what became of it; raises nothing but what ends a process.

    models: keeps a model loaded between rows; None: the row loads its own. shared: whether other processes help (see
    helping.py).
    """
    from pnpvideo.engine.window import translate_window
    from pnpvideo.pipeline import translate

    started = time.monotonic()
    try:
        backend = (models or Models(report)).of(row.options)
        windows = with_helpers(row, backend, report) if shared else translate_window
        what = row.input, row.prompt, row.output, row.options
        result = translate(*what, backend=backend, report=report, windows=windows)
    except PnPVideoError as error:
        return outcome_of(row, "failed", error=str(error), exit_code=error.exit_code)
    except Exception as error:  # a bug of ours or of a library: it must not take the other rows with it
        said = f"unexpected {type(error).__name__}: {error}; please report it"
        return outcome_of(row, "failed", error=said, exit_code=1)
    return outcome_of(
        row,
        "done",
        seconds=round(time.monotonic() - started, 3),
        output_sha256=result.report["output_sha256"],
    )


def outcome_of(
    row: Row,
    state: str,
    *,
    error: str | None = None,
    exit_code: int = 0,
    seconds: float = 0.0,
    output_sha256: str | None = None,
) -> Outcome:
    """The outcome of a row, with what the row says of itself."""
    return Outcome(
        number=row.number,
        place=row.place,
        input=None if row.input is None else str(row.input),
        output=str(Path(row.output)),
        state=state,
        error=error,
        exit_code=exit_code,
        seconds=seconds,
        output_sha256=output_sha256,
    )
