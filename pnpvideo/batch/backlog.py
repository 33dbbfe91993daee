"""Rows that wait for a worker; each worker is given rows of the model that it has loaded, as long as there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pnpvideo.batch.rows import Row

ModelKey = tuple[str, ...]


class Backlog:
    """The rows that nobody works on, by the model that they need, in the order of the jobs file."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows: dict[ModelKey, list[Row]] = {}
        for row in rows:
            self._rows.setdefault(row.options.model_key, []).append(row)

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __iter__(self) -> Iterator[Row]:
        for rows in self._rows.values():
            yield from rows

    def take(self, loaded: ModelKey | None, others: Iterable[ModelKey | None]) -> Row | None:
        """The next row for a worker; None if there is none.

        loaded: the model that the worker has. others: those of the other workers. A worker without rows for its model
        takes the one that has the most rows for each worker.
        """
        if not self._rows:
            return None
        loading = [*others]

        def rows_for_each(key: ModelKey) -> float:
            return len(self._rows[key]) / (loading.count(key) + 1)

        key = loaded if loaded is not None and loaded in self._rows else max(self._rows, key=rows_for_each)
        row = self._rows[key].pop(0)
        if not self._rows[key]:
            del self._rows[key]
        return row

    def put_back(self, row: Row) -> None:
        """Let a row be taken again, before the others of its model."""
        self._rows.setdefault(row.options.model_key, []).insert(0, row)
