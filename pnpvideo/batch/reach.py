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
    in the folders of the outputs, so that a folder of the same name on another disk is not taken for the same."""

    read: tuple[tuple[str, int], ...]
    probes: tuple[str, ...]

    def unseen(self) -> list[str]:
        """The files that are not here, or of another size, and the folders that are not here or not the same ones."""
        files = [path for path, size in self.read if _size(path) != size]
        return files + [os.path.dirname(probe) for probe in self.probes if not os.path.exists(probe)]


@contextlib.contextmanager
def reach_of(rows: Sequence[Row]) -> Iterator[Reach]:
    """Yield what workers must see for these rows; the probes are removed at the end of the block."""
    named = {str(path) for row in rows for path in [*read_by(row), *_of_model(row)]}
    read = tuple((path, size) for path in sorted(named) if (size := _size(path)) is not None)
    folders = sorted({str(Path(row.output).absolute().parent) for row in rows})
    with contextlib.ExitStack() as stack:
        probes: list[str] = []
        for folder in folders:
            with contextlib.suppress(OSError):  # the row itself says that it cannot write there
                probes.append(stack.enter_context(tempfile.NamedTemporaryFile(dir=folder, prefix=".pnpvideo-")).name)
        yield Reach(read, tuple(probes))


def _of_model(row: Row) -> list[Path]:
    customization, runtime = row.options.customization, row.options.runtime
    added = (*customization.lora, *customization.embedding)
    weights = [row.options.model, *(file for file, _ in added)]
    optional = [customization.vae, runtime.preview_vae]
    return [*map(Path, weights), *(path for path in optional if path is not None)]


def _size(path: str) -> int | None:
    """Bytes of a file, -1 of a folder; None if there is none."""
    try:
        return -1 if os.path.isdir(path) else os.stat(path).st_size
    except OSError:
        return None
