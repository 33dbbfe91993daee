"""Which weights these are: a hash over whole files, remembered, and compared with the hashes that a folder states."""

import hashlib
import json
import os
import re
import tempfile
import time
from pathlib import Path

from platformdirs import user_cache_path

from pnpvideo.backends.model_files import VOCABULARIES
from pnpvideo.errors import ModelError

SUMS = "SHA256SUMS"
_LARGE = 64 << 20
_SETTLED_NS = 2 * 10**9  # a file that changed later than this before it was hashed may change again unseen
_MOST_REMEMBERED = 1000
_SHA256 = re.compile("[0-9a-f]{64}")


def covered(folder: Path, parts: tuple[str, ...]) -> list[Path]:
    """The files below ``folder`` that are hashed and compared, sorted; ``parts``: files or subfolders.

    A checkpoint in a single file has that alone, whatever its name.
    """
    if os.path.isfile(folder):
        return [folder]
    found = set[Path]()
    for part in parts:
        place = folder / part
        found |= {place} if os.path.isfile(place) else set(place.rglob("*"))
    return sorted(
        path
        for path in found
        if (path.suffix in (".json", ".txt", ".safetensors") or path.name in VOCABULARIES) and os.path.isfile(path)
    )


def fingerprint(folder: Path, parts: tuple[str, ...]) -> str:
    """sha256 of names, sizes and contents of what is covered; of a file over 64 MiB, of its own sha256. ModelError."""
    digest = hashlib.sha256()
    for path in covered(folder, parts):
        try:
            size = path.stat().st_size
            digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
            digest.update(path.read_bytes() if size <= _LARGE else bytes.fromhex(sha256(path)))
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def verify(place: Path, parts: tuple[str, ...]) -> None:
    """Compare with the hashes that are stated, where any are, as sha256sum writes them. Raises ModelError.

    place: a folder, which may have a SHA256SUMS; weights that it does not list are an error too. Or a single file, for
    which FILE.sha256 counts, and a SHA256SUMS beside it if that lists it.
    """
    if os.path.isfile(place):
        _verify_file(place)
        return
    sums = place / SUMS
    if not os.path.lexists(sums):
        return
    stated = _stated(sums)
    for path in covered(place, parts):
        expected = stated.get(path.relative_to(place).as_posix())
        if expected is None and path.suffix == ".safetensors":
            raise ModelError(f"{path} is not listed in {sums}; what stands there is compared before it is loaded")
        if expected is not None:
            _compare(path, expected, sums)


def _verify_file(path: Path) -> None:
    own = path.with_name(path.name + ".sha256")
    if os.path.lexists(own):
        for expected in _stated(own).values():
            _compare(path, expected, own)
    beside = path.with_name(SUMS)
    if os.path.lexists(beside) and (listed := _stated(beside).get(path.name)) is not None:
        _compare(path, listed, beside)


def _compare(path: Path, expected: str, sums: Path) -> None:
    if (found := sha256(path)) != expected:
        raise ModelError(
            f"{path} is not the file that {sums} states: its sha256 is {found}, stated is {expected}; get it again"
        )


def _stated(sums: Path) -> dict[str, str]:
    """File name -> sha256. A file of a single hash needs no name."""
    try:
        if not os.path.isfile(sums) or sums.stat().st_size > 1 << 20:
            raise ModelError(f"{sums} is no list of hashes")
        lines = [line for line in sums.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ModelError(f"{sums} cannot be read: {error}") from error
    if len(lines) == 1 and _SHA256.fullmatch(alone := lines[0].strip().lower()):
        return {"": alone}
    found = {}
    for line in lines:
        entry = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line)
        if entry is None:
            raise ModelError(f"{sums} has the line {line[:80]!r}; accepted: a sha256, two spaces and a file's name")
        found[entry[2]] = entry[1].lower()
    return found


def sha256(path: Path) -> str:
    """Of the whole file; of a large one it is remembered until the file changes. Raises ModelError."""
    try:
        before = path.stat()
        key = f"{path.resolve()} {before.st_size} {before.st_mtime_ns} {before.st_ctime_ns} {before.st_ino}"
        large = before.st_size > _LARGE
        if large and (known := _remembered().get(key)) is not None:
            return known
        began, found = time.time_ns(), _hashed(path)
        after = path.stat()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if (
        large
        and (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
        and max(after.st_mtime_ns, after.st_ctime_ns) < began - _SETTLED_NS
    ):
        _remember(key, found)
    return found


def _hashed(path: Path) -> str:
    digest, block = hashlib.sha256(), memoryview(bytearray(1 << 20))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()


def _memo() -> Path:
    return user_cache_path("pnpvideo") / "weights-sha256.json"


def _remembered() -> dict[str, str]:
    """Path with size, times and inode -> sha256; nothing where the file is absent or damaged."""
    try:
        value = json.loads(_memo().read_text(encoding="utf-8")) if _memo().stat().st_size < 4 << 20 else {}
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {key: found for key, found in value.items() if isinstance(found, str) and _SHA256.fullmatch(found)}


def _remember(key: str, found: str) -> None:
    """Losing it costs time, nothing else, so whatever goes wrong with the disk is passed over."""
    known = [*_remembered().items(), (key, found)][-_MOST_REMEMBERED:]
    part = None
    try:
        _memo().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=_memo().parent, prefix=".sha256-", delete=False) as file:
            part = Path(file.name)
            json.dump(dict(known), file)
        part.replace(_memo())
    except (OSError, ValueError):
        if part is not None:
            part.unlink(missing_ok=True)
