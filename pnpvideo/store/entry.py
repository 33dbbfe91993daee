"""One entry of the store: named parts, each some tensors with JSON notes. Used only under the entry's lock."""

import hashlib
import shutil
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnpvideo.errors import StoreError, printable
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.store.durable import replace_file, sync_folder
from pnpvideo.store.manifest import PART_NAME, DamagedManifest, ForeignFormat, Manifest, PartRecord, file_name

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST = "manifest.json"


class Entry:
    """An entry as ``Store.entry`` yields it; valid while that context lasts.

    Each part is a safetensors file named after its content, and counts only once the manifest lists it: if the process
    is killed at any point, the entry has either its old or its new content.
    """

    def __init__(
        self, folder: Path, kind: str, key: str, report: Report = ignore, about: Mapping[str, str] | None = None
    ) -> None:
        if folder.is_symlink() or folder.parent.is_symlink():  # its content would be removed elsewhere
            raise StoreError(f"{printable(str(folder))} is a link; an entry of the store is a folder: remove the link")
        self._folder = folder
        self._report = report
        self._manifest = Manifest(kind=kind, key=key, about=dict(about or {}))
        try:
            manifest = Manifest.read(folder / MANIFEST)
        except ForeignFormat as difference:
            self._notify(f"is of another version ({difference}) and is computed again")
        except DamagedManifest as damage:
            self._notify(f"has a damaged manifest ({damage}) and is computed again")
        except OSError as error:
            raise StoreError(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
        else:
            if manifest is not None and (manifest.kind, manifest.key) == (kind, key):
                self._manifest = replace(manifest, about=manifest.about or self._manifest.about)

    def names(self) -> list[str]:
        """Return the names of the parts, in the order in which they were first put."""
        return list(self._manifest.parts)

    def put(self, name: str, tensors: "dict[str, Tensor]", meta: dict[str, Any] | None = None) -> None:
        """Store ``tensors``, of any dtype and shape, as the part ``name``; an earlier part of that name is replaced.

        name: at most 100 letters, digits, "_", "-" and "."; else ValueError. meta: notes that JSON can hold. Raises
        StoreError if the part cannot be written; the entry is then unchanged.
        """
        if not PART_NAME.fullmatch(name):
            raise ValueError(f"{name!r} does not name a part; use letters, digits, '_', '-' and '.'")
        from safetensors.torch import save
        from torch import contiguous_format

        content = save(
            {key: value.detach().cpu().clone(memory_format=contiguous_format) for key, value in tensors.items()}
        )
        sha256 = hashlib.sha256(content).hexdigest()
        part = PartRecord(file=file_name(name, sha256), bytes=len(content), sha256=sha256, meta=meta or {})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._folder / part.file, content)
            self._commit({**self._manifest.parts, name: part})
        except OSError as error:
            raise StoreError(
                f"{len(content):,} bytes could not be written to the store in {self._folder}: {error.strerror}; "
                "free some space with 'pnpvideo store clear', or choose another folder with --store"
            ) from error

    def get(self, name: str) -> "tuple[dict[str, Tensor], dict[str, Any]] | None":
        """Return the tensors (on the CPU) and the notes of the part ``name``; None if there is none.

        A part whose file is missing, truncated or altered is removed and reported, and counts as none.
        """
        part = self._manifest.parts.get(name)
        if part is None:
            return None
        try:
            return _read(self._folder, part)
        except _Damaged as damage:
            self._drop(name, str(damage))
            return None

    @staticmethod
    def peek(folder: Path, name: str) -> "tuple[dict[str, Tensor], dict[str, Any]] | None":
        """Like ``get``, but without the lock, of an entry that another process may be writing.

        None also for a part that is not there yet, or damaged, which is left as it is.
        """
        try:
            manifest = Manifest.read(folder / MANIFEST)
            part = None if manifest is None else manifest.parts.get(name)
            return None if part is None else _read(folder, part)
        except (OSError, ForeignFormat, DamagedManifest, _Damaged):
            return None

    def remove(self, name: str) -> None:
        """Remove the part ``name``, if there is one. Raises StoreError if that cannot be written."""
        parts = {other: part for other, part in self._manifest.parts.items() if other != name}
        if len(parts) == len(self._manifest.parts):
            return
        try:
            self._commit(parts)
        except OSError as error:
            raise StoreError(f"{name!r} could not be removed from {self._folder}: {error.strerror}") from error

    def discard(self) -> None:
        """Remove the whole entry; a later ``put`` begins a new one. Raises StoreError if that fails."""
        self._manifest = Manifest(kind=self._manifest.kind, key=self._manifest.key, about=self._manifest.about)
        try:
            if self._folder.is_dir():
                (self._folder / MANIFEST).unlink(missing_ok=True)
                self._remove_unlisted()
                self._folder.rmdir()
                sync_folder(self._folder.parent)
        except OSError as error:
            raise StoreError(f"{self._folder} could not be removed: {error.strerror}") from error

    def _commit(self, parts: dict[str, PartRecord]) -> None:
        """Write a manifest that lists ``parts``; after that, remove the files that it does not list."""
        manifest = replace(self._manifest, parts=parts)
        manifest.write(self._folder / MANIFEST)
        self._manifest = manifest
        self._remove_unlisted()

    def _remove_unlisted(self) -> None:
        listed = {MANIFEST, *(part.file for part in self._manifest.parts.values())}
        for path in self._folder.iterdir():
            if path.name in listed:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _drop(self, name: str, reason: str) -> None:
        self._notify(f"has a damaged part: {name!r} {reason}; it is computed again")
        self.remove(name)

    def _notify(self, what: str) -> None:
        self._report(Notice(message=f"the stored {self._manifest.kind} {self._manifest.key[:12]} {what}"))


class _Damaged(Exception):
    """A part is not what the manifest says; the message tells how."""


def _read(folder: Path, part: PartRecord) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """The tensors and notes of a part. Raises _Damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = folder / part.file
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != part.bytes:
            raise _Damaged(f"has {status.st_size:,} bytes instead of {part.bytes:,}")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise _Damaged("does not match its checksum")
        # Copied to where torch aligns tensors: with others, some processors round otherwise.
        return {name: tensor.clone() for name, tensor in load(content).items()}, dict(part.meta)
    except (OSError, SafetensorError) as error:
        raise _Damaged(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
