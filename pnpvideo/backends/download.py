"""Download files of a hub's repository, and report how far that is."""

import contextlib
import glob
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pnpvideo.errors import printable
from pnpvideo.events import Notice, Progress, Report

SECONDS = 0.5
"""Between two reports."""
ABANDONED_SECONDS = 3600.0
"""How long a partial file has not grown whose process is taken to be dead."""


def download(model: str, sizes: Mapping[str, int | None], report: Report) -> Path:
    """Fetch those files of the repository ``model`` that the hub's cache lacks; return the folder that holds them.

    sizes: path in the repository -> bytes; None where the hub does not say. Raises what huggingface_hub raises.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.file_download import repo_folder_name

    storage = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model, repo_type="model")
    known = [size for size in sizes.values() if size is not None]
    total = sum(known) if len(known) == len(sizes) else 0
    cached = sum(size or 0 for name, size in sizes.items() if _is_cached(model, name))
    missing = f"{spoken_bytes(total - cached)} of " if total else ""
    kept = f", {spoken_bytes(cached)} are there" if cached else ""
    report(
        Notice(
            message=f"downloading {missing}{printable(model)} into {constants.HF_HUB_CACHE}{kept}; Ctrl-C stops, "
            "and the same command goes on with the files that are still missing"
        )
    )
    remove_abandoned(storage)
    with _watched(storage, cached, total, report):
        folder = snapshot_download(model, allow_patterns=[glob.escape(name) for name in sizes])
    if total:
        report(_progress(total, total))
    return Path(folder)


def spoken_bytes(count: int) -> str:
    """Such as "812 B", "4.3 MB" or "1.2 GB", in powers of 1000."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if size >= 99.5 or unit == "B" else f"{size:.1f} {unit}"


def bytes_in(folder: Path) -> int:
    """The sizes of all regular files below ``folder`` together; of links nothing, of files that vanish nothing."""
    found = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                path = os.path.join(parent, name)
                found += 0 if os.path.islink(path) else os.path.getsize(path)
    return found


def remove_abandoned(storage: Path) -> None:
    """Remove the partial files of processes that were killed: their names are random, so no download goes on there."""
    for path in storage.glob("blobs/*.????????.incomplete"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink()


@contextlib.contextmanager
def _watched(storage: Path, cached: int, total: int, report: Report) -> Iterator[None]:
    """Report the growth of the folder ``storage`` in the block: what the hub's library itself tells depends on its
    version, and it writes partial files there, whichever way they come."""
    before, ended = bytes_in(storage), threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS):
            done = cached + max(0, bytes_in(storage) - before)
            report(_progress(min(done, total) if total else done, total))

    report(_progress(cached, total))
    thread = threading.Thread(target=watch, name="download", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _progress(done: int, total: int) -> Progress:
    return Progress(stage="download", done=done, total=total, unit="byte")


def _is_cached(model: str, name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, name), str)
