"""Check all rows of a batch, each alone and against the others, before any work begins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pnpvideo.batch.journal import Journal
from pnpvideo.batch.rows import Row
from pnpvideo.early import check_run
from pnpvideo.errors import OptionError, PnPVideoError, printable
from pnpvideo.events import Notice, Report


def check_places(rows: Sequence[Row], others: Iterable[Path]) -> None:
    """Raise OptionError where an output is another's output, or is or holds a file that is read.

    others: files that are read besides those of rows, such as the jobs file.
    """
    read = {os.path.realpath(path): "a file of this batch" for path in others}
    for row in rows:
        read |= {os.path.realpath(path): f"what {row} reads" for path in read_by(row)}
    writers: dict[str, Row] = {}
    for row in rows:
        place, shown = os.path.realpath(row.output), printable(row.output)
        if (other := writers.setdefault(place, row)) is not row:
            hint = "put {stem} into output" if other.place == row.place else "name another output"
            raise OptionError(f"{other} and {row} both write {shown}; {hint}")
    for place, row in writers.items():
        for above in _above(place):
            if above in writers:
                raise OptionError(f"{row} writes {printable(row.output)}, into the output of {writers[above]}")
    for place, what in read.items():
        for above in (place, *_above(place)):
            if above in writers:
                row = writers[above]
                how = "is" if above == place else "is a folder that holds"
                raise OptionError(f"{row}: output {printable(row.output)} {how} {what}; name another output")


def check_each(rows: Sequence[Row], report: Report, unread: Mapping[int, PnPVideoError] | None = None) -> None:
    """Raise the first error that a row would end with, as far as names and files tell; notices name the others'.

    unread: errors of rows, by number, whose files could not be read before; a row's other errors come first.
    """
    found = [*_errors(rows, unread or {})]
    for row, error in found[1:]:
        report(Notice(message=f"{row}: {error}"))
    if found:
        row, error = found[0]
        more = f"; {len(found) - 1} more rows are wrong" if len(found) > 1 else ""
        raise type(error)(f"{row}: {error}{more}; nothing was done")


def taken_over(row: Row, key: str, journal: Journal) -> Row:
    """The row, allowed to replace its output if that is what a killed run of it left, by the journal."""
    return row.begun() if journal.was_begun(key) else row


def _errors(rows: Sequence[Row], unread: Mapping[int, PnPVideoError]) -> Iterator[tuple[Row, PnPVideoError]]:
    for row in rows:
        try:
            check_run(row.input, row.prompt, row.output, row.options)
        except PnPVideoError as error:
            yield row, error
        else:
            if row.number in unread:
                yield row, unread[row.number]


def read_by(row: Row) -> list[Path]:
    """The files and folders that a row names to be read, a local model's too."""
    return [*([] if row.input is None else [row.input]), *row.options.files()]


def _above(place: str) -> Iterator[str]:
    return map(str, Path(place).parents)
