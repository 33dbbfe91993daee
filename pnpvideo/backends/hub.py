"""Models by name: a local folder, or a repository of the Hugging Face hub, fetched once."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pnpvideo.backends.download import download
from pnpvideo.backends.fingerprint import sha256
from pnpvideo.backends.learned_words import LEARNED_WORDS
from pnpvideo.backends.model_files import CONFIGS, VOCABULARIES, choose_weights
from pnpvideo.backends.quiet import quiet_libraries
from pnpvideo.errors import ModelError
from pnpvideo.events import Report, ignore

_ALONGSIDE = ("SHA256SUMS", "model_index.json", "pnpvideo.json", LEARNED_WORDS, "scheduler_config.json")


def fetch(
    model: str,
    check: Callable[[Path], object],
    parts: tuple[str, ...] = ("",),
    report: Report = ignore,
    half: bool = False,
) -> Path:
    """The local folder of ``model``, a folder or a hub id. Asks no network where the hub's cache has it whole.

    check: raises ModelError where a cached folder lacks something, which is fetched then. parts: subfolders that are
    wanted; "" is the model's own folder. Of a repository, configs, vocabularies and one set of safetensors weights are
    fetched, nothing else; their sha256 are compared with what the hub states. report: hears how far a download is, in
    bytes. half: fetch the weights in fp16, where there are such.
    """
    folder = local_folder(model)
    if folder is not None:
        return folder
    cached = next((found for part in parts[:2] if (found := _cached(model, part)) is not None), None)
    if cached is not None:
        try:
            check(cached)
            return cached
        except ModelError:
            pass  # a part of it was fetched, for another purpose or before an interruption
    return _fetched(model, parts, report, half)


def local_folder(model: str) -> Path | None:
    """The folder that ``model`` names; None for a hub id. Raises ModelError for anything else."""
    folder = Path(model)
    if os.path.isdir(folder):
        return folder
    if os.path.lexists(folder):
        raise ModelError(f"{model} is no folder; accepted is a folder or a hub id OWNER/NAME")
    if folder.is_absolute() or model.count("/") != 1 or model.startswith((".", "~")):
        raise ModelError(f"no model at {model!r}; give an alias (pnpvideo models), a folder or a hub id OWNER/NAME")
    return None


def _cached(model: str, part: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, f"{part}/config.json".lstrip("/"))
    except (HFValidationError, OSError, ValueError):
        return None
    return Path(found).parents[1 if part else 0] if isinstance(found, str) else None


def _fetched(model: str, parts: tuple[str, ...], report: Report, half: bool) -> Path:
    from huggingface_hub import HfApi

    try:
        with quiet_libraries():
            files = HfApi().model_info(model, files_metadata=True).siblings or ()
            sizes = {file.rfilename: file.size for file in files}
            names = wanted(sizes, parts, half)
            folder = download(model, {name: sizes[name] for name in names}, report)
    except Exception as absent:  # of the network, the hub or the disk: OSError, ValueError, and httpx's own
        said = (str(absent).strip() or type(absent).__name__).splitlines()[0]
        raise ModelError(
            f"the model {model!r} is not on this machine and could not be fetched ({said.rstrip('.')}); "
            f"when online, run: hf download {model}; or name a local folder"
        ) from absent
    stated = {file.rfilename: file.lfs.sha256 for file in files if file.lfs is not None}
    for name in names:
        _check_hash(folder / name, stated.get(name))
    return folder


def _check_hash(path: Path, stated: str | None) -> None:
    """Remove a file whose sha256 is not the one that the hub states, so that it is fetched again. ModelError."""
    if stated is None or (found := sha256(path)) == stated:
        return
    for link in (path.resolve(), path):
        link.unlink(missing_ok=True)
    raise ModelError(
        f"{path} arrived damaged and was removed: its sha256 is {found}, the hub states {stated}; run the same again"
    )


def wanted(names: Iterable[str], parts: tuple[str, ...], half: bool = False) -> list[str]:
    """Which files of a repository are fetched. half: see ``fetch``."""
    there = [name.rpartition("/") for name in names]
    found = []
    for part in dict.fromkeys(("", *parts)):
        inside = [name for folder, _, name in there if folder == part]
        read = {*CONFIGS, *VOCABULARIES, *_ALONGSIDE, *(choose_weights(inside, half) if part in parts else ())}
        found += [f"{part}/{name}".lstrip("/") for name in inside if name in read]
    return sorted(found)
