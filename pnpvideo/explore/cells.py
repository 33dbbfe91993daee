"""A cell: one set of options with a prompt, tried on a few frames, and its form in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pnpvideo.errors import InputError, OptionError, printable
from pnpvideo.settings.options import KNOWN, Options

FORMAT = "pnpvideo cells 1"
"""Marks a JSON file of cells, and the version of its form."""
MAX_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One set of options with its prompt.

    number: counted from 1. prompt: None for an edit. values: the options that are set, by flat name. dials: the options
    in which the cells of a preview differ, as text.
    """

    number: int = 1
    prompt: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    dials: Mapping[str, str] = field(default_factory=dict)

    def options(self, origins: Mapping[str, str] | None = None) -> Options:
        """The options of the cell. Raises OptionError where they contradict each other."""
        return Options.from_flat(self.values, origins)

    def record(self) -> dict[str, Any]:
        """The cell as JSON holds it. Its paths are absolute."""
        options = {name: None if value is None else KNOWN[name].kind.dump(value) for name, value in self.values.items()}
        return {"number": self.number, "prompt": self.prompt, "dials": dict(self.dials), "options": options}


@dataclass(frozen=True, kw_only=True)
class CellFile:
    """The cells of a JSON file. input: the file that they were tried on. input_sha256: its hash; None for a folder of
    frames. best: number of the cell that is meant where none is named; None: there is no such cell."""

    input: Path
    input_sha256: str | None
    cells: tuple[Cell, ...]
    best: int | None = None


def read_cells(path: Path) -> CellFile:
    """Read a JSON file of cells and check its options. Raises InputError for a file that is none, and OptionError."""
    name = printable(str(path))
    advice = "accepted is a JSON file that 'pnpvideo preview' or 'pnpvideo tune' wrote"
    try:
        if not path.is_file():
            raise InputError(f"{name} is not there; {advice}, beside the sheet")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{name} is too large; {advice}")
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} holds no JSON; {advice}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{name} holds no cells; {advice}")
    try:
        return CellFile(
            input=Path(_typed(found["input"], str)),
            input_sha256=_typed(found["input_sha256"], str, type(None)),
            cells=tuple(_read_cell(record, path.parent) for record in _typed(found["cells"], list)),
            best=_typed(found.get("best"), int, type(None)),
        )
    except OptionError as error:
        raise OptionError(f"{name}: {error}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is damaged: it lacks or misstates {error}; {advice}") from error


def _read_cell(record: Mapping[str, Any], folder: Path) -> Cell:
    values = {}
    for name, value in _typed(record["options"], dict).items():
        if name not in KNOWN:
            raise OptionError(f"unknown option {name!r}; known are: {', '.join(KNOWN)}")
        values[name] = None if value is None else KNOWN[name].kind.load(name, value, folder)
    cell = Cell(
        number=_typed(record["number"], int),
        prompt=_typed(record["prompt"], str, type(None)),
        values=values,
        dials=_typed(record["dials"], dict),
    )
    cell.options()
    return cell


def _typed(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(repr(value)[:40])
    return value
