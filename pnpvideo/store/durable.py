"""Replace a file atomically and durably: after a crash it has either its old or its new content."""

import contextlib
import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file with a random name in the same folder, sync it, and rename it to ``path``.

    Raises OSError; ``path`` is then unchanged and the temporary file is removed. (A user's results are written by
    publish.py; the store's folders are its own, and its entries are locked already.)
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
    """Make renames and removals in ``folder`` durable, on systems where a folder can be synced. Raises OSError."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
