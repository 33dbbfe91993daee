"""Publish results: build each one in a private folder beside its final name, and give it that name when it is whole.

All files and folders that a user asks for are written through here. Killed at any moment, a run leaves what was there
before or the whole new result; what else it leaves is removed by the next run that writes the same output.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pnpvideo.errors import OutputError, printable

LONGEST_NAME_BYTES = 255
_SUFFIX_BYTES = 32  # for what is added to a name: dots, random letters, ".part" or ".lock"
_AT_CWD, _NOREPLACE, _EXCHANGE = -100, 1, 2  # of renameat2, Linux


class Publication:
    """One result under way. A context manager: leaving it without ``publish`` removes what was built.

    target: the final name. path: where to build; a file or folder of the same name in a folder that only this run knows
    and that only this user can enter. While it lives, this run alone may write ``target``: a lock file beside it keeps
    other processes off, on other machines too where the file system shares locks.

    Raises OutputError: another run writes the same target, or its folder cannot be written to.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._lock = _claim(target)
        try:
            _recover(target)
            self._folder = Path(tempfile.mkdtemp(".part", _hidden(target, ""), target.absolute().parent))
            self._handle = os.open(self._folder, os.O_RDONLY) if os.name == "posix" else None
        except OSError as error:
            self._release()
            raise OutputError(f"{_shown(target)}: its folder cannot be written to: {error.strerror}") from error
        self.path = self._folder / target.name
        self._done = False

    def publish(self, *, overwrite: bool) -> None:
        """Make what was built durable and give it its final name, in one step where the system can do that.

        overwrite: replace what stands there; a folder replaces a folder, a file a file. Raises OutputError if something
        stands there and ``overwrite`` is False, or if something else was put in the place of what was built.
        """
        self._check_private()
        for path in [*sorted(self.path.rglob("*")), self.path] if self.path.is_dir() else [self.path]:
            _sync(path)
        try:
            if overwrite and self.path.is_dir() and self.target.is_dir():
                _exchange(self.path, self.target, self._folder / "old")
            elif overwrite:
                os.replace(self.path, self.target)
            else:
                _rename_new(self.path, self.target)
        except FileExistsError:
            raise OutputError(
                f"{_shown(self.target)} has come to exist meanwhile; name another output, or replace it: -y, or "
                "overwrite=True in Python"
            ) from None
        except OSError as error:
            raise OutputError(f"{_shown(self.target)} cannot be written: {error.strerror}") from error
        _sync(self.target.absolute().parent)
        self.discard()

    def discard(self) -> None:
        """Remove what was built and let other runs write the target. Does nothing the second time."""
        if self._done:
            return
        self._done = True
        try:
            if self._handle is not None:
                os.close(self._handle)
            shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            self._release()

    def __enter__(self) -> "Publication":
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def _check_private(self) -> None:
        """Raise OutputError if the private folder, or what was built in it, is not what this run made."""
        try:
            built, folder = os.lstat(self.path), os.lstat(self._folder)
        except OSError as error:
            raise OutputError(f"{_shown(self.target)}: what was built is gone; nothing was written") from error
        own = None if self._handle is None else os.fstat(self._handle)
        swapped = own is not None and (own.st_dev, own.st_ino) != (folder.st_dev, folder.st_ino)
        if swapped or not (stat.S_ISREG(built.st_mode) or stat.S_ISDIR(built.st_mode)):
            raise OutputError(f"{_shown(self.target)}: something was put in its place meanwhile; nothing was written")

    def _release(self) -> None:
        """Let the lock go. Its file is removed first: who waits for the old file sees that it has lost its name."""
        with contextlib.suppress(OSError):
            os.unlink(self._lock.lock_file)
        self._lock.release()


@contextlib.contextmanager
def published(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a path to write to; what lies there at the end of the block becomes ``target``. Raises OutputError."""
    with Publication(target) as publication:
        try:
            yield publication.path
        except OSError as error:
            raise OutputError(f"{_shown(target)} cannot be written: {error.strerror or error}") from error
        publication.publish(overwrite=overwrite)


def write_file(target: Path, content: bytes, *, overwrite: bool = True) -> None:
    """Write ``content`` to ``target``, which appears whole or not at all. Raises OutputError."""
    with published(target, overwrite=overwrite) as path:
        path.write_bytes(content)


def check_writable(target: Path) -> None:
    """Raise OutputError if nothing can be written to the folder in which ``target`` stands or is to stand."""
    try:
        tempfile.TemporaryFile(dir=target.absolute().parent).close()
    except OSError as error:
        raise OutputError(
            f"{_shown(target)}: its folder cannot be written to: {error.strerror}; name another output"
        ) from error


def _claim(target: Path) -> FileLock:
    lock = FileLock(target.absolute().with_name(_hidden(target, "lock")), thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        check_writable(target)  # where the system makes no file, the lock reads as taken
        raise OutputError(
            f"{_shown(target)} is being written by another run; wait for it, or name another output"
        ) from None
    except OSError as error:
        raise OutputError(f"{_shown(target)}: its folder cannot be written to: {error.strerror}") from error
    return lock


def _hidden(target: Path, ending: str) -> str:
    """Hidden name beside the target; a hash where the target's own name leaves no room for more."""
    name = target.name
    if len(os.fsencode(name)) > LONGEST_NAME_BYTES - _SUFFIX_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{name}.{ending}"


def _recover(target: Path) -> None:
    """Remove what killed runs left of this target, whose lock is ours; a folder that was taken away is put back.

    The random letters have no dot: what else begins with the target's name and a dot is another target's.
    """
    own = re.compile(re.escape(_hidden(target, "")) + r"[^.]+\.part")
    for left in target.absolute().parent.iterdir():
        if own.fullmatch(left.name) and left.is_dir() and not left.is_symlink():
            if not os.path.lexists(target) and (left / "old").is_dir():
                os.replace(left / "old", target)
            shutil.rmtree(left, ignore_errors=True)


def _exchange(new: Path, old: Path, aside: Path) -> None:
    """Put folder ``new`` in the place of ``old``: at once, or by way of ``aside``, which the next run puts back."""
    if not _renameat2(new, old, _EXCHANGE):
        os.replace(old, aside)
        os.replace(new, old)


def _rename_new(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``; FileExistsError if something stands there but an empty folder."""
    if new.is_dir() and target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        os.replace(new, target)  # onto an empty folder alone: else the system refuses
    elif not _renameat2(new, target, _NOREPLACE):
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "File exists", str(target))
        os.replace(new, target)


def _renameat2(source: Path, target: Path, flag: int) -> bool:
    """Linux's renameat2; False where the system or the file system does not have it. OSError: it failed."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_CWD, os.fsencode(source), _AT_CWD, os.fsencode(target), flag) == 0:
        return True
    error = ctypes.get_errno()
    if error in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(error, os.strerror(error), str(target))


def _sync(path: Path) -> None:
    """Make a file or folder durable. A link is not followed."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    access = os.O_RDWR if os.name == "nt" else os.O_RDONLY  # Windows flushes what may be written alone
    handle = os.open(path, access | getattr(os, "O_NOFOLLOW", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _shown(path: Path) -> str:
    return printable(str(path))
