"""The store: results worth keeping between runs, addressed by content, one lock for each key."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from pnpvideo.errors import OptionError, StoreError, printable
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.store.entry import MANIFEST, Entry
from pnpvideo.store.manifest import DamagedManifest, ForeignFormat, Manifest

KINDS = ("trajectory", "run", "direction")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class EntryInfo:
    """What the store holds under one key.

    bytes: size on disk. created, last_used: UTC. parts: how many there are. usable: False for an entry of
    another format version, or with a damaged or missing manifest, which would be computed again.
    """

    kind: str
    key: str
    bytes: int
    created: datetime
    last_used: datetime
    parts: int
    usable: bool


class Store:
    """A folder ``root`` (None: "pnpvideo" in the user's cache folder) with one folder for each kind and key.

    Nothing is made before the first entry is asked for. ``report`` receives notices: of waiting for another
    process, and of damage that was found and left out.
    """

    def __init__(self, root: Path | None = None, *, report: Report = ignore) -> None:
        self.root = user_cache_path("pnpvideo") if root is None else Path(root)
        if "\0" in str(self.root):
            raise OptionError(f"the store is {str(root)!r}; accepted is the path of a folder")
        self._report = report

    @contextlib.contextmanager
    def entry(self, kind: str, key: str) -> Iterator[Entry]:
        """The entry of ``kind`` (one of KINDS) and ``key``, locked against other processes meanwhile.

        Where another process holds it, this waits; the lock of a process that died is free. Raises StoreError
        when the store cannot be used.
        """
        with self._locked(kind, key, wait=True):
            folder = self._folder(kind, key)
            with contextlib.suppress(FileNotFoundError, PermissionError):
                os.utime(folder / MANIFEST)
            yield Entry(folder, kind, key, self._report)

    def list(self) -> list[EntryInfo]:
        """What the store holds, the least recently used first."""
        found = []
        for kind in KINDS:
            for folder in (self.root / kind).glob("*"):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # just removed, or no entry
                    found.append(_info(kind, folder))
        return sorted(found, key=lambda info: (info.last_used, info.kind, info.key))

    def clear(self, kind: str | None = None, key: str | None = None) -> int:
        """Remove the entries of ``kind`` and ``key`` (None: any), but those in use; return how many were removed."""
        removed = 0
        for info in self.list():
            if kind in (None, info.kind) and key in (None, info.key):
                try:
                    with self._locked(info.kind, info.key, wait=False):
                        Entry(self._folder(info.kind, info.key), info.kind, info.key, ignore).discard()
                    removed += 1
                except Timeout:
                    self._report(Notice(message=f"the stored {info.kind} {info.key[:12]} is in use and was kept"))
        return removed

    def _folder(self, kind: str, key: str) -> Path:
        if kind not in KINDS or not _KEY.fullmatch(key):
            raise ValueError(f"{kind!r}, {key!r} is no kind and key; kinds: {', '.join(KINDS)}; keys: fingerprints")
        return self.root / kind / key

    @contextlib.contextmanager
    def _locked(self, kind: str, key: str, *, wait: bool) -> Iterator[None]:
        """Locks lie beside the entries and stay: removing a lock that someone waits for would make it two."""
        path = self.root / "locks" / f"{kind}-{key}.lock"
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout:
            if not wait:
                raise
            self._report(Notice(message=f"waiting for another process that works on {kind} {key[:12]}"))
            lock.acquire(poll_interval=0.1)
        except OSError as error:
            raise StoreError(
                f"the store in {printable(str(self.root))} cannot be used: {error.strerror}; "
                "choose a writable folder with --store"
            ) from error
        try:
            yield
        finally:
            lock.release()


def _info(kind: str, folder: Path) -> EntryInfo:
    manifest = folder / MANIFEST
    used = (manifest if manifest.exists() else folder).stat().st_mtime
    created, parts, usable = used, 0, False
    with contextlib.suppress(ForeignFormat, DamagedManifest, OSError):
        found = Manifest.read(manifest)
        if found is not None:
            created, parts, usable = found.created_seconds, len(found.parts), True
    return EntryInfo(
        kind=kind,
        key=folder.name,
        bytes=sum(path.lstat().st_size for path in folder.iterdir()),
        created=datetime.fromtimestamp(created, timezone.utc),
        last_used=datetime.fromtimestamp(used, timezone.utc),
        parts=parts,
        usable=usable,
    )
