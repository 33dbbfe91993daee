"""Read a jobs file, TOML, YAML, JSON Lines or CSV, into rows of plain values; what they mean is not checked here."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pnpvideo.batch.yaml_text import read_yaml
from pnpvideo.errors import InputError, OptionError, printable

ROWS, DEFAULTS = "rows", "defaults"
MAX_BYTES = 1_000_000
LONGEST_LINE = 8_000
"""Characters of a line; parsing TOML takes time quadratic in the parts of a dotted key, which is one line."""


@dataclass(frozen=True)
class Entry:
    """One row as it is written. place: where it stands, such as "row 2" or "line 7"."""

    place: str
    values: dict[str, Any]


@dataclass(frozen=True)
class JobsFile:
    """A jobs file. defaults: values for all rows. texts: all values are texts, as in CSV and YAML, to be parsed."""

    path: Path
    entries: tuple[Entry, ...]
    defaults: dict[str, Any] = field(default_factory=dict)
    texts: bool = False


def read_jobs(path: Path) -> JobsFile:
    """Read a jobs file. Raises InputError if it cannot be read, OptionError for what it must not hold."""
    name = printable(str(path))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise OptionError(f"{name} is no jobs file; accepted by their extensions: {', '.join(READERS)}")
    text = _text(path, name)
    try:
        jobs = reader(path, text)
    except OptionError as error:
        raise OptionError(f"{name}: {error}") from error
    except (ValueError, RecursionError, csv.Error) as error:
        kind = path.suffix.lower().removeprefix(".").upper()
        raise OptionError(f"{name} is no {kind} file: {printable(str(error))}") from error
    if not jobs.entries:
        raise OptionError(f"{name} has no rows; give at least one, with input, prompt and output")
    return jobs


def _text(path: Path, name: str) -> str:
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:  # a pipe does not block
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{name} is not a regular file; accepted is a jobs file")
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise OptionError(f"{name} is larger than {MAX_BYTES:,} bytes; split it into several jobs files")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{name} is no text in UTF-8: {error.reason} at byte {error.start}") from error
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise OptionError(f"{name}: line {number} has more than {LONGEST_LINE:,} characters")
    return text


def _toml(path: Path, text: str) -> JobsFile:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    return _of_mapping(path, tomllib.loads(text), texts=False)


def _yaml(path: Path, text: str) -> JobsFile:
    found = read_yaml(text)
    return _of_mapping(path, {ROWS: found} if isinstance(found, list) else found, texts=True)


def _of_mapping(path: Path, found: Any, *, texts: bool) -> JobsFile:
    if not isinstance(found, dict):
        raise OptionError("it is no table; accepted are defaults at the top, and a list 'rows'")
    rows = found.pop(ROWS, [])
    if not isinstance(rows, list):
        raise OptionError("'rows' is no list; accepted is one table for each row")
    entries = (Entry(f"row {number}", _table(row, f"row {number}")) for number, row in enumerate(rows, 1))
    return JobsFile(path, tuple(entries), found, texts)


def _jsonl(path: Path, text: str) -> JobsFile:
    lines = [(f"line {number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    entries = [Entry(place, _table(_json(line, place), place)) for place, line in lines]
    defaults: dict[str, Any] = {}
    if entries and set(entries[0].values) == {DEFAULTS}:
        defaults = _table(entries.pop(0).values[DEFAULTS], DEFAULTS)
    return JobsFile(path, tuple(entries), defaults)


def _json(line: str, place: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if twice := [name for name in names if names.count(name) > 1]:
            raise OptionError(f"{place}: {printable(twice[0])!r} stands twice")
        return dict(pairs)

    def refuse(constant: str) -> NoReturn:
        raise OptionError(f"{place}: {constant} is no number of JSON")

    try:
        return json.loads(line, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise OptionError(f"{place} is no JSON: {error.msg} at column {error.colno}") from error


def _csv(path: Path, text: str) -> JobsFile:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names = [name.strip() for name in next(reader, [])]
    if twice := [name for name in names if names.count(name) > 1]:
        raise OptionError(f"line 1: the column {printable(twice[0])!r} stands twice")
    return JobsFile(path, tuple(_csv_rows(reader, names)), texts=True)


def _csv_rows(reader: Any, names: list[str]) -> Iterator[Entry]:
    """Rows without their empty cells. A row of empty cells alone is left out."""
    for cells in reader:
        place = f"line {reader.line_num}"
        if len(cells) > len(names):
            raise OptionError(f"{place} has {len(cells)} cells, and line 1 names {len(names)}; put commas in quotes")
        if values := {name: cell for name, cell in zip(names, cells, strict=False) if cell.strip()}:
            yield Entry(place, values)


def _table(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise OptionError(f"{place} is no table; accepted are names with values, such as input, prompt and output")
    return value


READERS: dict[str, Callable[[Path, str], JobsFile]] = {
    ".toml": _toml,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".jsonl": _jsonl,
    ".csv": _csv,
}
