"""Which row an idle worker helps with, and how much of a row is done by all that work on it; no Ray is needed here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from pnpvideo.batch.backlog import ModelKey
from pnpvideo.batch.rows import Row
from pnpvideo.errors import PnPVideoError

BEFORE_WRITING = 0.95
"""What several workers can have done of a row, at most, before one of them has written it."""


@dataclass(frozen=True)
class Underway:
    """A row that a worker translates. windows: about how many it has. workers: at work on it. open: whether windows may
    be left that nobody has begun."""

    row: Row
    windows: int
    workers: int
    open: bool = True

    @property
    def room(self) -> int:
        """How many more workers have something to do."""
        return max(0, self.windows - self.workers) if self.open else 0


def windows_of(row: Row) -> int:
    """About how many windows a row has, from its number of frames; 1 for what cannot be divided or read.

    A clip of a window and a half or less counts as one, whatever its cuts: starting a worker takes longer.
    """
    if row.input is None or row.options.generate:
        return 1
    try:
        frames = row.options.reading.open(row.input).info.frames_about
    except PnPVideoError:  # the row itself ends with it
        return 1
    window = row.options.runtime.window
    return 1 if 2 * frames <= 3 * window else max(2, frames // window)


def row_to_help(underway: Iterable[Underway], loaded: ModelKey | None) -> Row | None:
    """The row that an idle worker helps with: of those with room the ones of its model, of these the one with the most
    windows for each worker. None: there is nothing to help with."""

    def need(each: Underway) -> tuple[bool, float]:
        return each.row.options.model_key == loaded, each.windows / (each.workers + 1)

    found = max((each for each in underway if each.room), key=need, default=None)
    return None if found is None else found.row


class Divisions:
    """What is known of the rows of a batch as several workers share them, by their numbers."""

    def __init__(self, most_losses: int) -> None:
        self._most_losses = most_losses
        self._windows: dict[int, int] = {}
        self._closed: set[int] = set()
        self._losses = Counter[int]()
        self._shares: dict[int, RowShare] = {}

    def windows(self, row: Row) -> int:
        """About how many windows a row has; its input is opened for it once."""
        if row.number not in self._windows:
            self._windows[row.number] = windows_of(row)
        return self._windows[row.number]

    def begun(self, row: Row) -> None:
        """A worker begins to translate a row, or begins it anew."""
        self._closed.discard(row.number)
        self._shares.setdefault(row.number, RowShare()).own = 0.0

    def helped(self, row: Row) -> None:
        """A worker that has helped found nothing more to do: all windows have been claimed."""
        self._closed.add(row.number)

    def lost(self, row: Row) -> None:
        """A worker that helped has ended, and what it claimed is free again. A row that ends too many gets no more."""
        self._losses[row.number] += 1
        if self._losses[row.number] < self._most_losses:
            self._closed.discard(row.number)
        else:
            self._closed.add(row.number)

    def underway(self, row: Row, workers: int) -> Underway:
        return Underway(row, self.windows(row), workers, row.number not in self._closed)

    def heard(self, row: Row, helper: Hashable | None, share: float) -> float:
        """The share of a row that is done, with the report of a worker; see RowShare."""
        return self._shares.setdefault(row.number, RowShare()).heard(helper, share)


def workers_wanted(rows: Sequence[int], underway: Iterable[Underway]) -> int:
    """How many workers have something to do besides those at work. rows: windows of the rows that wait."""
    return sum(rows) + sum(each.room for each in underway)


@dataclass
class RowShare:
    """The share of a row that is done, from the reports of all that work on it; it never falls."""

    own: float = 0.0
    helpers: dict[Hashable, float] = field(default_factory=dict)
    overall: float = 0.0

    def heard(self, helper: Hashable | None, share: float) -> float:
        """The share of the row with this report. helper: None: the worker that translates the row, whose share counts
        all frames up to its own; else a worker whose share counts the frames that it did."""
        if helper is None:
            self.own = share
        else:
            self.helpers[helper] = share
        together = min(BEFORE_WRITING, self.own + sum(self.helpers.values()))
        self.overall = max(self.overall, self.own, together)
        return self.overall
