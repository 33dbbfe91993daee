"""What a worker on another machine has to see of the driver's files: the inputs, and the folders of the outputs."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pnpvideo.batch.checks import read_by
from pnpvideo.batch.rows import Row


@dataclass(frozen=True)
class Reach:
    """Picklable. read: files that exist here, with their bytes, and folders, with -1. probes: files that were just made
    in the folders of the outputs, so that a folder of the same name on another disk is not taken for the same. stores:
    folders of stores that rows name, each with a probe in it."""

    read: tuple[tuple[str, int], ...]
    probes: tuple[str, ...]
    stores: tuple[tuple[str, str], ...] = ()

    def unseen(self) -> list[str]:
        """The files that are not here, or of another size, and the folders that are not here or not the same ones."""
        files = [path for path, size in self.read if _size(path) != size]
        return files + [os.path.dirname(probe) for probe in self.probes if not os.path.exists(probe)]

    def shared_stores(self) -> tuple[str, ...]:
        """The folders of stores that are here the very ones of the driver. Each machine may have one of its own."""
        return tuple(folder for folder, probe in self.stores if os.path.exists(probe))


@contextlib.contextmanager
def reach_of(rows: Sequence[Row]) -> Iterator[Reach]:
    """Yield what workers must see for these rows; the probes are removed at the end of the block."""
    named = {str(path) for row in rows for path in read_by(row)}
    read = tuple((path, size) for path in sorted(named) if (size := _size(path)) is not None)
    folders = sorted({str(Path(row.output).absolute().parent) for row in rows})
    stores = sorted({str(store) for row in rows if (store := row.options.runtime.store) is not None})
    with contextlib.ExitStack() as stack:
        probes = [probe for folder in folders if (probe := _probe(folder, stack)) is not None]
        for folder in stores:
            with contextlib.suppress(OSError):  # then the row itself says so
                os.makedirs(folder, exist_ok=True)
        held = tuple((folder, probe) for folder in stores if (probe := _probe(folder, stack)) is not None)
        yield Reach(read, tuple(probes), held)


def _probe(folder: str, stack: contextlib.ExitStack) -> str | None:
    """A file in a folder until the stack ends; None where it cannot be written, which the row itself says."""
    try:
        return stack.enter_context(tempfile.NamedTemporaryFile(dir=folder, prefix=".pnpvideo-")).name
    except OSError:
        return None


def _size(path: str) -> int | None:
    """Bytes of a file, -1 of a folder; None if there is none."""
    try:
        return -1 if os.path.isdir(path) else os.stat(path).st_size
    except OSError:
        return None
