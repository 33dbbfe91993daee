"""The store: a folder of entries that are addressed by content, one lock for each key."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from pnpvideo.errors import OptionError, StoreError, printable
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.store.entry import MANIFEST, Entry
from pnpvideo.store.manifest import DamagedManifest, ForeignFormat, Manifest

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("trajectory", "run", "direction")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class EntryInfo:
    """Facts about one entry.

    bytes: size on disk. created, last_used: UTC. parts: their number. usable: False for an entry of another format
    version, or with a damaged or missing manifest, which is computed again when it is needed. about: the facts that it
    was created with, such as "clip", "model" and "size"; empty for entries of earlier versions.
    """

    kind: str
    key: str
    bytes: int
    created: datetime
    last_used: datetime
    parts: int
    usable: bool
    about: Mapping[str, str]


class Store:
    """A folder with one folder for each kind and key; it is created with the first entry.

    root: None for "pnpvideo" in the user's cache folder. report: receives notices about waiting for another process and
    about damaged entries. about: facts that new entries are created with (see EntryInfo).
    """

    def __init__(
        self, root: Path | None = None, *, report: Report = ignore, about: Mapping[str, str] | None = None
    ) -> None:
        self.root = user_cache_path("pnpvideo") if root is None else Path(root)
        if "\0" in str(self.root):
            raise OptionError(f"the store is {str(root)!r}; accepted is the path of a folder")
        self._report, self.about = report, dict(about or {})

    @contextlib.contextmanager
    def entry(self, kind: str, key: str, about: Mapping[str, str] | None = None) -> Iterator[Entry]:
        """Yield the entry of ``kind`` (one of KINDS) and ``key`` (a fingerprint), locked against other processes.

        about: facts of a new entry; None for those of the store. Waits if another process has the lock; the lock of a
        process that died is free. Raises StoreError if the store cannot be used.
        """
        folder, waiting = self._folder(kind, key), f"waiting for another process that works on {kind} {key[:12]}"
        with self._locked(f"{kind}-{key}", wait=True, waiting=waiting):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                os.utime(folder / MANIFEST)
            yield Entry(folder, kind, key, self._report, self.about if about is None else about)

    def peek(self, kind: str, key: str, name: str) -> "tuple[dict[str, Tensor], dict[str, Any]] | None":
        """The tensors and notes of a part, as ``Entry.get`` returns them, while another process may be writing to the
        entry; None if the part is not there, or not yet."""
        return Entry.peek(self._folder(kind, key), name)

    @contextlib.contextmanager
    def claimed(self, key: str, *, wait: bool = False) -> Iterator[bool]:
        """Claim a piece of work against other processes; yield whether no other one has claimed it.

        key: a fingerprint of the work. wait: until it is free. A claim is free once its process has died.
        """
        self._folder("run", key)  # a key that could leave the store is refused
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._locked(f"claim-{key}", wait=wait))
            except Timeout:
                yield False
            else:
                yield True

    def list(self) -> list[EntryInfo]:
        """Return all entries, the least recently used first. Raises StoreError for a folder that cannot be read."""
        entries = []
        try:
            for kind in KINDS:
                for folder in (self.root / kind).glob("*"):
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # just removed, or not an entry
                        entries.append(_info(kind, folder))
        except OSError as error:
            raise StoreError(
                f"the store in {printable(str(self.root))} cannot be read: {error.strerror}; choose a folder that you "
                "may enter and list with --store"
            ) from error
        return sorted(entries, key=lambda info: (info.last_used, info.kind, info.key))

    def clear(self, kind: str | None = None, key: str | None = None) -> int:
        """Remove the entries of ``kind`` and ``key`` (None: any), except those in use; return how many were removed."""
        entries = [info for info in self.list() if kind in (None, info.kind) and key in (None, info.key)]
        removed = [info for info in entries if self._remove(info)]
        for info in entries:
            if info not in removed:
                self._report(Notice(message=f"the stored {info.kind} {info.key[:12]} is in use and was kept"))
        return len(removed)

    def prune(self, limit: int) -> int:
        """Remove the least recently used entries until at most ``limit`` bytes are left; return how many were removed.

        Entries in use, and those that were used since they were listed, are kept. If the rest still exceeds the limit,
        or an entry cannot be removed, that is a notice. Raises OptionError for a negative limit.
        """
        if limit < 0:
            raise OptionError(f"the limit of the store is {limit} bytes; accepted is a size of at least 0, such as 20G")
        entries = self.list()
        size, removed = sum(info.bytes for info in entries), 0
        for info in entries:
            if size <= limit:
                break
            try:
                if self._remove(info, if_unused=True):
                    size, removed = size - info.bytes, removed + 1
            except StoreError as failed:
                self._report(Notice(message=str(failed)))
        if size > limit:
            self._report(Notice(message=f"the store holds {size:,} bytes, more than {limit:,}: the rest is in use"))
        return removed

    def _remove(self, info: EntryInfo, if_unused: bool = False) -> bool:
        """Remove an entry; False if it is in use or, with ``if_unused``, was used since ``info`` was made."""
        folder = self._folder(info.kind, info.key)
        try:
            with self._locked(f"{info.kind}-{info.key}", wait=False):
                if if_unused and _last_used(folder) != info.last_used:
                    return False
                Entry(folder, info.kind, info.key).discard()
                return True
        except Timeout:
            return False

    def _folder(self, kind: str, key: str) -> Path:
        if kind not in KINDS or not _KEY.fullmatch(key):
            raise ValueError(f"{kind!r}, {key!r} is no kind and key; kinds: {', '.join(KINDS)}; keys: fingerprints")
        return self.root / kind / key

    @contextlib.contextmanager
    def _locked(self, name: str, *, wait: bool, waiting: str = "") -> Iterator[None]:
        """Hold a lock. waiting: a notice if another process holds it. Raises filelock's Timeout if one does and
        ``wait`` is False, StoreError if it cannot be held.

        Lock files are never removed: a process that waits for a removed one would lock another file than the next.
        """
        path = self.root / "locks" / f"{name}.lock"
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout:
            if not wait:
                raise
            if waiting:
                self._report(Notice(message=waiting))
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
    last_used, manifest = _last_used(folder), None
    with contextlib.suppress(ForeignFormat, DamagedManifest, OSError):
        manifest = Manifest.read(folder / MANIFEST)
    return EntryInfo(
        kind=kind,
        key=folder.name,
        bytes=sum(path.lstat().st_size for path in folder.iterdir()),
        created=last_used if manifest is None else datetime.fromtimestamp(manifest.created_seconds, timezone.utc),
        last_used=last_used,
        parts=0 if manifest is None else len(manifest.parts),
        usable=manifest is not None,
        about={} if manifest is None else manifest.about,
    )


def _last_used(folder: Path) -> datetime:
    manifest = folder / MANIFEST
    return datetime.fromtimestamp((manifest if manifest.exists() else folder).stat().st_mtime, timezone.utc)
