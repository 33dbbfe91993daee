"""Replace files of the store so that they are there whole or not at all, whatever interrupts the writing."""

import contextlib
import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` under a new, unforeseeable name in the same folder, sync it to disk, and rename it to ``path``.

    Raises OSError; what was at ``path`` is then still there, and the temporary file is gone. (Results that a user asked
    for are written by publish.py; the store's folders are its own, and its entries are locked already.)
    """
    handle, name = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in ``folder`` durable, on the systems where a folder can be synced."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
