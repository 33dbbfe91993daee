"""Read the options of one cell, named as ``sheet.png#7``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnpvideo.errors import InputError, OptionError, printable
from pnpvideo.explore.cells import Cell, CellFile, read_cells
from pnpvideo.settings.options import Options


@dataclass(frozen=True)
class Pick:
    """One cell of a file. name: as it was named, such as "sheet.png#7"."""

    name: str
    cell: Cell
    file: CellFile

    @property
    def prompt(self) -> str | None:
        return self.cell.prompt

    @property
    def input(self) -> Path:
        """The file that the cell was tried on."""
        return self.file.input

    @property
    def values(self) -> Mapping[str, Any]:
        """The cell's options that are set, by flat name."""
        return self.cell.values

    @property
    def origins(self) -> Mapping[str, str]:
        """Option -> who set it: "pick" and the name."""
        return dict.fromkeys(self.cell.values, f"pick {self.name}")

    @property
    def options(self) -> Options:
        return self.cell.options(self.origins)

    def difference(self, input: Path) -> str | None:
        """A message if ``input`` is not the file that the cell was tried on; else None."""
        from pnpvideo.report import file_hash

        known = self.file.input_sha256
        same = input.absolute() == self.input if known is None else input.is_file() and file_hash(input) == known
        return None if same else f"{input} is not the file that {self.name} was made from, {self.input}"


def pick(name: str | Path) -> Pick:
    """Read a cell: ``sheet.png#7``, ``sheet.json#7``, or a JSON file alone if it has one cell or a best one.

    The JSON file lies beside the picture. Raises InputError for a file that is missing or holds no cells, and
    OptionError for a cell that it does not have.
    """
    text = str(name)
    path, number = Path(text), ""
    if not path.exists() and "#" in text:
        stem, _, number = text.rpartition("#")
        path = Path(stem)
    path = path.with_suffix(".json") if path.name else path
    try:
        found = read_cells(path)
    except InputError as error:
        raise InputError(f"pick {printable(text)}: {error}") from error
    return Pick(text, _chosen(found, number, printable(text)), found)


def _chosen(file: CellFile, number: str, name: str) -> Cell:
    numbers = {cell.number: cell for cell in file.cells}
    listed = (
        f"1 to {max(numbers)}"
        if sorted(numbers) == [*range(1, len(numbers) + 1)] and len(numbers) > 1
        else ", ".join(map(str, numbers))
    )
    if not number:
        if len(numbers) == 1:
            return file.cells[0]
        if file.best in numbers:
            return numbers[file.best]
        raise OptionError(f"pick {name} names no cell; add its number, {listed}, such as {name}#1")
    if not number.isascii() or not number.isdigit() or int(number) not in numbers:
        raise OptionError(f"pick {name}: there is no cell {number!r}; accepted: {listed or 'none'}")
    return numbers[int(number)]
