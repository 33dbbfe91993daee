"""Read the lists of a benchmark: JSON, YAML and CSV of bounded size, and the pictures that their rows name."""

import csv
import io
import json
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from pnpvideo.batch.yaml_text import read_yaml
from pnpvideo.errors import InputError, OptionError, printable
from pnpvideo.events import Notice, Report

MAX_BYTES = {".json": 64 << 20, ".yaml": 1 << 20, ".yml": 1 << 20, ".csv": 4 << 20}
"""Limit of a list, by its extension; YAML is parsed slowly."""


@dataclass(frozen=True)
class Record:
    """One row of a list as it is written. place: where it stands, such as "mapping_file.json, row '7'"."""

    place: str
    values: dict[str, Any]

    def fail(self, why: str) -> NoReturn:
        """Raise InputError that names the row."""
        raise InputError(f"{printable(self.place)}: {printable(why)}")

    def text(self, name: str, default: str | None = None) -> str:
        """A text, its runs of white space as one space. default: of a row without this key; None: it must be there."""
        value = self._value(name, default)
        if not isinstance(value, str):
            self.fail(f"{name} is {_shown(value)}; accepted is a text")
        return " ".join(value.split())

    def texts(self, name: str) -> list[str]:
        """A list of at least one text."""
        value = self._value(name, None)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            self.fail(f"{name} is {_shown(value)}; accepted is a list of texts")
        return [" ".join(each.split()) for each in value]

    def records(self, name: str) -> list["Record"]:
        """A list of tables."""
        return [Record(f"{self.place}, {name} {place}", values) for place, values in _tables(self._value(name, None))]

    def file(self, name: str, *roots: Path) -> Path:
        """The file or folder that ``name`` states, below the first of ``roots`` that has it; see ``found``."""
        return self.found(self.text(name), *roots)

    def found(self, stated: str, *roots: Path) -> Path:
        """The file or folder ``stated``, a path without "..", below the first of ``roots`` that has it."""
        self.safe(stated)
        for root in roots:
            if (root / stated).exists():
                return root / stated
        self.fail(f"{stated} is missing; looked for in {', '.join(str(root) for root in roots)}")

    def first(self, name: str, places: Sequence[str], root: Path) -> str:
        """The first of ``places`` below ``root`` that is there. name: what is looked for, for the message."""
        found = next((place for place in places if (root / place).exists()), None)
        if found is None:
            self.fail(f"{name} is missing; looked for in {', '.join(places)}")
        return found

    def safe(self, stated: str) -> str:
        """``stated`` if it is a relative path that stays below its folder; else raises InputError."""
        path = PurePosixPath(stated)
        inside = stated and "\0" not in stated and "\\" not in stated and not path.is_absolute()
        if not inside or ".." in path.parts or path == PurePosixPath(".") or ":" in path.parts[0]:
            self.fail(f"{_shown(stated)} is no path below the data's folder")
        return str(path)

    def _value(self, name: str, default: str | None) -> Any:
        if name not in self.values and default is None:
            self.fail(f"{name} is missing; the row has {', '.join(map(str, self.values)) or 'nothing'}")
        return self.values.get(name, default)


def read_list(path: Path) -> list[Record]:
    """The rows of a list or table in JSON, YAML or CSV. Raises InputError for anything else.

    A table of tables (PIE-Bench) becomes rows that are named by their key.
    """
    name = printable(path.name)
    text = _text(path)
    try:
        value = _parsed(path, text)
        return [Record(f"{path.name}, row {place}", values) for place, values in _tables(value)]
    except (InputError, OptionError, ValueError, RecursionError, csv.Error) as error:
        raise InputError(f"{name} is no list of rows: {printable(str(error))}") from error


def read_table(path: Path) -> Record:
    """A list in YAML or JSON whose top is a table, as one record. Raises InputError for anything else."""
    text = _text(path)
    try:
        value = _parsed(path, text)
    except (InputError, OptionError, ValueError, RecursionError) as error:
        raise InputError(f"{printable(path.name)} is no table: {printable(str(error))}") from error
    if not isinstance(value, dict):
        raise InputError(f"{printable(path.name)} is {_shown(value)}; accepted is a table of keys and values")
    return Record(path.name, value)


def note_unread(records: Sequence[Record], known: Collection[str], report: Report) -> None:
    """Report once which keys of the rows are not read, and the first row that has them."""
    odd = [(record, sorted(map(str, set(record.values) - set(known)))) for record in records]
    odd = [(record, keys) for record, keys in odd if keys]
    if odd:
        record, keys = odd[0]
        more = f", and {len(odd) - 1} more rows" if len(odd) > 1 else ""
        report(Notice(message=f"{printable(record.place)}: {printable(', '.join(keys))} is not read{more}"))


def _text(path: Path) -> str:
    name, most = printable(str(path)), MAX_BYTES[path.suffix.lower()]
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:  # a pipe does not block
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{name} is not a regular file")
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise InputError(f"{name} is larger than {most:,} bytes; this is no list of a benchmark")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is no text in UTF-8: {error.reason} at byte {error.start}") from error


def _parsed(path: Path, text: str) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=_unique)
    if suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        return [{key: cell for key, cell in row.items() if isinstance(key, str)} for row in reader]
    return read_yaml(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise InputError(f"{printable(next(name for name in names if names.count(name) > 1))!r} stands twice")
    return table


def _tables(value: Any) -> list[tuple[str, dict[str, Any]]]:
    """(place, row) of a list of tables, counted from 1, or of a table of tables, by key."""
    places: list[tuple[str, Any]]
    if isinstance(value, dict):
        places = [(repr(key), row) for key, row in value.items()]
    elif isinstance(value, list):
        places = [(str(number), row) for number, row in enumerate(value, 1)]
    else:
        raise InputError(f"it is {_shown(value)}; accepted is a list of rows")
    for place, row in places:
        if not isinstance(row, dict):
            raise InputError(f"row {printable(place)} is {_shown(row)}; accepted is a table of keys and values")
    return places


def _shown(value: Any) -> str:
    shown = repr(value)
    return printable(shown if len(shown) <= 60 else f"{shown[:57]}...")
