"""The files of one model's folder: JSON configs and safetensors weights. Nothing else is ever opened.

Pickled weights (.bin, .pt, .ckpt) are not among them, nor is any code that a folder may hold.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pnpvideo.errors import ModelError

CONFIGS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
VOCABULARIES = (
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
)
PICKLES = (".bin", ".ckpt", ".h5", ".msgpack", ".pkl", ".pt", ".pth")
LARGEST_JSON, DEEPEST_JSON = 16 << 20, 64
_STEMS, _VARIANTS = ("diffusion_pytorch_model", "model"), ("", ".fp16")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, UTF-8 with or without a byte-order mark. Raises ModelError."""
    if not os.path.isfile(path):
        raise ModelError(f"{path} {'is no regular file' if os.path.lexists(path) else 'is missing'}")
    try:
        size = os.path.getsize(path)
        if size > LARGEST_JSON:
            raise ModelError(f"{path} has {size >> 20} MiB; accepted are configs of up to {LARGEST_JSON >> 20} MiB")
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as damaged:
        raise ModelError(f"{path} cannot be read as JSON: {damaged}") from damaged
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object")
    level: list[Any] = [value]
    for _ in range(DEEPEST_JSON):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [item for each in inner for item in each if isinstance(item, dict | list)]
    if level:
        raise ModelError(f"{path} is nested more than {DEEPEST_JSON} levels deep, which no config is")
    return value


def choose_weights(names: Iterable[str], half: bool = False) -> tuple[str, ...]:
    """Which of a folder's file ``names`` hold the weights that are loaded, an index first where there is one.

    Full precision comes before fp16, unless ``half``, and one file before shards; where neither library's own name is
    there, the only ``.safetensors`` file. () if there are none.
    """
    there = sorted(names)
    for variant in reversed(_VARIANTS) if half else _VARIANTS:
        for stem in _STEMS:
            if (whole := f"{stem}{variant}.safetensors") in there:
                return (whole,)
            if (index := f"{stem}.safetensors.index{variant}.json") in there:
                marks = [part for part in there if part.startswith(stem) and part.endswith(".safetensors")]
                return (index, *(part for part in marks if "-of-" in part and (".fp16" in part) == bool(variant)))
    rest = [name for name in there if name.endswith(".safetensors")]
    return (rest[0],) if len(rest) == 1 else ()


def weights_of(folder: Path) -> tuple[Path, ...]:
    """The ``.safetensors`` files of the model in ``folder``, as its index names them or the only one. ModelError."""
    names = listed(folder)
    chosen = choose_weights(names)
    if not chosen:
        pickled = [name for name in names if name.endswith(PICKLES)]
        several = sorted(name for name in names if name.endswith(".safetensors"))
        if several:
            raise ModelError(
                f"{folder} holds {', '.join(several[:3])} and none of the names that say which to load; keep one of "
                "them, as model.safetensors"
            )
        found = f", only {pickled[0]}; pickled weights (.bin, .ckpt, .pt) are never loaded" if pickled else ""
        raise ModelError(f"{folder} has no .safetensors weights{found}: convert them to safetensors first")
    if not chosen[0].endswith(".json"):
        return (_regular(folder / chosen[0]),)
    return _indexed(folder, folder / chosen[0])


def _indexed(folder: Path, index: Path) -> tuple[Path, ...]:
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table or not all(isinstance(name, str) for name in table.values()):
        raise ModelError(f"{index} has no weight_map of tensors to files")
    shards = sorted(set(table.values()))
    for name in shards:
        if not name.endswith(".safetensors") or name != os.path.basename(name.replace("\\", "/")) or "\0" in name:
            raise ModelError(f"{index} names {name!r}; accepted are .safetensors files in the same folder")
        real = _regular(folder / name).resolve()
        if real.parent not in (folder.resolve(), _blobs(folder)):
            raise ModelError(f"{index} names {name!r}, a link out of its folder; accepted are files in the same folder")
    return tuple(folder / name for name in shards)


def _blobs(folder: Path) -> Path | None:
    """Where the hub's cache keeps the files that a snapshot links to: models--X/snapshots/REVISION/... -> blobs."""
    for above in folder.resolve().parents:
        if above.name == "snapshots":
            return above.parent / "blobs"
    return None


def listed(folder: Path) -> list[str]:
    """The names in ``folder``. Raises ModelError."""
    try:
        return os.listdir(folder)
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}") from error


def _regular(path: Path) -> Path:
    if not os.path.isfile(path):
        raise ModelError(f"{path} {'is no regular file' if os.path.lexists(path) else 'is missing'}")
    return path


def tensor_shapes(files: Sequence[Path]) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape, from the files' headers alone. Raises ModelError."""
    found: dict[str, tuple[int, ...]] = {}
    for path in files:
        try:
            with safe_open(path, framework="numpy") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as damaged:
            raise ModelError(f"{path} cannot be loaded as safetensors: {first_line(damaged)}") from damaged
    return found


def check_files(folder: Path, *sets: tuple[str, ...]) -> None:
    """One of the ``sets`` of files must be there, whole. Raises ModelError: a library would take something else."""
    if not any(all(os.path.isfile(folder / name) for name in names) for names in sets):
        wanted = " or ".join(" with ".join(names) for names in sets)
        raise ModelError(f"{folder} has no {wanted}")


def file_metadata(path: Path) -> dict[str, str]:
    """The texts in the header of a safetensors file. Raises ModelError."""
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as damaged:
        raise ModelError(f"{path} cannot be loaded as safetensors: {first_line(damaged)}") from damaged


def first_line(error: Exception) -> str:
    """What an error says, on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
