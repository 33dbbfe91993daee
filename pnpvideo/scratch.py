"""Temporary folders that do not outlive a killed process for long: the next one that needs a folder removes them."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX, LOCK = "pnpvideo-", ".lock"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty temporary folder, and remove it at the end of the block.

    A lock beside what it holds says that its process lives: the system lets the lock of a killed process go.
    """
    from filelock import FileLock

    remove_leftovers()
    with contextlib.ExitStack() as stack:
        while True:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True))
            folder = Path(name, "files")
            folder.mkdir()
            with contextlib.suppress(FileNotFoundError):
                stack.enter_context(FileLock(Path(name, LOCK)))
                if folder.is_dir():  # else another process took it for a leftover before the lock was held
                    break
        yield folder


def remove_leftovers() -> None:
    """Remove this user's scratch folders whose process is gone. Links are not followed; what is in use stays."""
    from filelock import FileLock, Timeout

    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if left.is_symlink() or (hasattr(os, "getuid") and left.stat().st_uid != os.getuid()):
                continue
            if (left / LOCK).is_file():  # a folder without one is just being made, or not ours
                with FileLock(left / LOCK, blocking=False):
                    shutil.rmtree(left, ignore_errors=True)
