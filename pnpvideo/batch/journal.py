"""The journal of a batch: JSON lines that say which rows are done, so that a second call does only what is left."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pnpvideo.errors import OutputError, printable
from pnpvideo.publish import check_writable

STARTED, DONE, FAILED = "started", "done", "failed"


def journal_path(jobs: Path) -> Path:
    """``jobs.toml.journal.jsonl`` beside ``jobs.toml``."""
    return Path(f"{jobs}.journal.jsonl")


@dataclass
class Journal:
    """The last line of each row, by its key (see runner.row_key)."""

    path: Path
    lines: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Read a journal; a line that a kill cut short is passed over. Raises OutputError if it cannot be read."""
        lines: dict[str, dict[str, Any]] = {}
        try:
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise OutputError(f"the journal {printable(str(path))} is no regular file; name another: --journal")
            text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        except OSError as error:
            raise OutputError(f"the journal {printable(str(path))} cannot be read: {error.strerror}") from error
        for line in text.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                entry = json.loads(line)
                lines[str(entry["key"])] = entry
        return cls(path, lines)

    def done(self, key: str, output: Path) -> dict[str, Any] | None:
        """The line of a row that is done and whose output stands as it was written; else None."""
        from pnpvideo.report import content_hash  # loads torch, and a wrong jobs file is said before that

        line = self.lines.get(key)
        if line is None or line.get("state") != DONE or not output.exists():
            return None
        return line if content_hash(output) == line.get("output_sha256") else None

    def was_begun(self, key: str) -> bool:
        """Whether a run of this row was begun and not ended: what stands at its output is then its own."""
        return self.lines.get(key, {}).get("state") == STARTED

    def write(self, key: str, state: str, facts: Mapping[str, Any]) -> None:
        """Append a line, durably. Raises OutputError."""
        line = {"key": key, "state": state, **facts}
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(("\n" if file.tell() else "") + json.dumps(line))  # a torn line ends before this one
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"the journal {printable(str(self.path))} cannot be written: {error.strerror}") from error
        self.lines[key] = line


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Journal]:
    """Yield a journal that no other batch writes meanwhile. Raises OutputError if one does."""
    if not path.absolute().parent.is_dir():
        raise OutputError(f"the folder of the journal {printable(str(path))} does not exist; make it first")
    lock = FileLock(path.absolute().with_name(f".{path.name}.lock"), thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        check_writable(path)
        raise OutputError(f"{printable(str(path))} is in use by another batch; wait for it") from None
    except OSError as error:
        raise OutputError(f"the journal {printable(str(path))} cannot be written: {error.strerror}") from error
    try:
        yield Journal.read(path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()
