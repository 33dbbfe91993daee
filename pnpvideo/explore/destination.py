"""Check where a preview or the record of a search goes, before the work begins."""

import os
from importlib.util import find_spec
from pathlib import Path

from pnpvideo.errors import OptionError, OutputError, command_to_install, printable
from pnpvideo.publish import check_writable
from pnpvideo.video.destination import check_file, check_place, reachable
from pnpvideo.video.formats import PICTURES


def check_sheet(path: Path, source: Path, overwrite: bool) -> None:
    """Raise OutputError if no sheet can be written to ``path``, or no JSON file beside it."""
    _check_picture(path, source, overwrite)
    check_record(path.with_suffix(".json"), overwrite)


def check_plot(path: Path, source: Path, overwrite: bool) -> None:
    """Raise OutputError if no plot can be written to ``path``, and OptionError without matplotlib."""
    if find_spec("matplotlib") is None:
        raise OptionError(f"matplotlib, which draws the plot, is not installed: {command_to_install('plots')}")
    _check_picture(path, source, overwrite)


def _check_picture(path: Path, source: Path, overwrite: bool) -> None:
    if path.suffix.lower() not in PICTURES:
        raise OutputError(f"{printable(str(path))}: it is one picture; accepted: {', '.join(PICTURES)}")
    check_place(path, source, overwrite)


def check_record(path: Path, overwrite: bool) -> None:
    """Raise OutputError if no JSON file can be written to ``path``."""
    if path.suffix.lower() != ".json":
        raise OutputError(f"{printable(str(path))}: the options are written as JSON; accepted: .json")
    check_file(path, overwrite)


def check_cells_folder(path: Path, overwrite: bool) -> None:
    """Raise OutputError if the folder cannot take the cells of a preview; only cells in it are ever replaced."""
    with reachable(path):
        _check_cells_folder(path, overwrite)


def _check_cells_folder(path: Path, overwrite: bool) -> None:
    name = printable(str(path))
    if not path.parent.is_dir():
        raise OutputError(f"{name}: the folder {printable(str(path.parent))} does not exist; make it first")
    check_writable(path)
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise OutputError(f"{name} exists and is no folder; name another output")
    others = [each.name for each in path.iterdir() if not (each.name.startswith("cell-") and each.is_file())]
    if others:
        raise OutputError(f"the folder {name} holds other things than cells, such as {printable(others[0])}")
    if any(path.iterdir()) and not overwrite:
        raise OutputError(f"{name} exists; name another output, or replace it: -y, or overwrite=True in Python")
