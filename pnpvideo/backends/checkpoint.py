"""A diffusers checkpoint folder: found, checked and fingerprinted before any weight is trusted."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pnpvideo.backends.backend import Card
from pnpvideo.errors import ModelError

WORDS = ["text_encoder/*.json", "text_encoder/*.safetensors", "tokenizer/*"]  # what reads prompts
PARTS = ("unet", "vae", "text_encoder")
FEW_STEP_CARD = {"guidance": 1.0, "edit_guidance": 1.0, "inversion_rounds": 2}
"""Distilled checkpoints have their guidance inside; their long steps are inverted by corrections (as in arXiv
2403.14602)."""
_HARMLESS = "position_ids"  # a buffer that old text encoders saved and no code reads
_BLOCK, _WHOLE = 1 << 20, 64 << 20


def locate(model: str) -> Path:
    """The local folder of a diffusers checkpoint: a folder or a hub id (fetched if not cached). Raises ModelError."""
    wanted = ["model_index.json", "*/*.json", "*/*.txt", "pnpvideo.json", *(f"{part}/*.safetensors" for part in PARTS)]
    folder = fetch(model, wanted)
    _check(folder)
    return folder


def fetch(model: str, wanted: list[str]) -> Path:
    """The local folder of ``model``, a folder or a hub id; of the latter, files of the ``wanted`` patterns."""
    folder = Path(model)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or model.count("/") != 1 or model.startswith("."):
        raise ModelError(f"no model at {model!r}; give an alias (pnpvideo models), a folder or a hub id OWNER/NAME")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=wanted, ignore_patterns=["*.fp16.*", "*.non_ema.*"]))
    except (OSError, ValueError) as absent:
        raise ModelError(
            f"the model {model!r} is not on this machine and could not be fetched; "
            f"when online, run: hf download {model}; or name a local folder"
        ) from absent


def _check(folder: Path) -> None:
    words = folder / "tokenizer"
    if not (words / "tokenizer.json").is_file() and not all(
        (words / name).is_file() for name in ("vocab.json", "merges.txt")
    ):
        raise ModelError(f"{folder}/tokenizer has neither tokenizer.json nor vocab.json with merges.txt")
    for part in PARTS:
        weights = folder / part
        if not (weights / "config.json").is_file():
            raise ModelError(f"{folder} is no Stable Diffusion checkpoint: {part}/config.json is missing")
        if not list(weights.glob("*.safetensors")):
            raise ModelError(
                f"{folder}/{part} has no .safetensors weights; pickled weights (.bin, .ckpt) are never loaded: "
                "convert them first"
            )


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as damaged:
        raise ModelError(f"{path} cannot be read as JSON: {damaged}") from damaged
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no JSON object")
    return value


def few_step(scheduler: dict[str, Any]) -> bool:
    """Is this the scheduler of a checkpoint that was distilled to draw in few steps?

    A consistency model's (LCM, arXiv 2310.04378), or Euler's on a trailing grid, as adversarially distilled ones have
    it (turbo, arXiv 2311.17042).
    """
    kind = str(scheduler.get("_class_name"))
    euler = kind.startswith("Euler") and scheduler.get("timestep_spacing") == "trailing"
    return kind == "LCMScheduler" or (euler and not scheduler.get("rescale_betas_zero_snr"))


def read_card(folder: Path, usual: Mapping[str, Any]) -> Card:
    """What the checkpoint recommends; ``usual``: where it says nothing itself, over the defaults of Card."""
    path = folder / "pnpvideo.json"
    if not path.is_file():
        return Card(**usual)
    known: dict[str, Any] = {field.name: field.type for field in fields(Card)}
    given = read_json(path)
    for name, value in given.items():
        if name not in known:
            raise ModelError(f"{path}: {name!r} is no recommendation; known are: {', '.join(known)}")
        if not isinstance(value, float | int if known[name] is float else known[name]):
            raise ModelError(f"{path}: {name} is {value!r}, which is not of the right kind")
    return Card(**{**usual, **given})


def fingerprint(folder: Path, parts: tuple[str, ...] = ("",)) -> str:
    """sha256 of configs and weights of ``parts``; of a file over 64 MiB, its size and 64 blocks of 1 MiB of it."""
    digest = hashlib.sha256()
    for path in sorted(path for part in parts for path in (folder / part).rglob("*")):
        if path.suffix not in (".json", ".txt", ".safetensors") or not path.is_file():
            continue
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        with open(path, "rb") as file:
            if size <= _WHOLE:
                digest.update(file.read())
                continue
            for block in range(64):
                file.seek(block * (size - _BLOCK) // 63)
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def load(kind: Any, folder: Path, **asked: Any) -> Any:
    """``kind.from_pretrained(folder)`` from this machine alone; whatever the libraries raise becomes a ModelError."""
    try:
        return kind.from_pretrained(folder, local_files_only=True, **asked)
    except Exception as damaged:  # OSError, ValueError, KeyError, SafetensorError, and a plain Exception of a parser
        said = (str(damaged).strip() or type(damaged).__name__).splitlines()[0]
        raise ModelError(f"{folder} cannot be loaded as a {kind.__name__}: {said}") from damaged


def load_checked(kind: Any, folder: Path, part: str) -> Any:
    """A part of a checkpoint, frozen, every weight of it from its file. Raises ModelError."""
    model, info = load(kind, folder / part, use_safetensors=True, output_loading_info=True)
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        found = [str(key) for key in info.get(problem) or () if _HARMLESS not in str(key)]
        if found:
            raise ModelError(
                f"{folder}/{part}: {problem.replace('_', ' ')}, {len(found)} in all, such as {found[0]}; "
                "the weights do not fit the architecture that config.json states"
            )
    return model.eval().requires_grad_(False)


def check_files(folder: Path, *sets: tuple[str, ...]) -> None:
    """One of the ``sets`` of files must be there, whole. Raises ModelError: a library would take something else."""
    if not any(all((folder / name).is_file() for name in names) for names in sets):
        wanted = " or ".join(" with ".join(names) for names in sets)
        raise ModelError(f"{folder} has no {wanted}")
