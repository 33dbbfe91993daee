"""A checkpoint of Stable Diffusion in the diffusers layout: found, checked and read before any weight is loaded."""

import math
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pnpvideo.backends.backend import Card
from pnpvideo.backends.hub import fetch
from pnpvideo.backends.identify import ACCEPTED, Kind, advice, identify
from pnpvideo.backends.learned_words import read_learned_words
from pnpvideo.backends.model_files import check_files, read_json, weights_of
from pnpvideo.errors import ModelError
from pnpvideo.video.ffmpeg import printable

PARTS = ("unet", "vae", "text_encoder")
TEXT_PARTS = ("text_encoder", "tokenizer")
COVERED = (*PARTS, "tokenizer", "scheduler", "captioner", "judge", "model_index.json", "pnpvideo.json")
"""What is fetched of a checkpoint, and what its fingerprint and stated hashes cover."""
SCHEDULER = "scheduler/scheduler_config.json"
FEW_STEP_CARD = {"guidance": 1.0, "edit_guidance": 1.0, "inversion_rounds": 2}
"""Distilled checkpoints have their guidance inside; their long steps are inverted by corrections (as in arXiv
2403.14602)."""
_SHARES = ("feature_until", "attention_until", "fresh_noise", "cross_attention_until")
_MOST = {"inversion_rounds": 100, "cross_attention": 1e6, **dict.fromkeys(_SHARES, 1)}
_MOST_USUAL = 100


def locate(model: str) -> Path:
    """The local folder of a checkpoint: a folder, or a hub id, fetched if it is not cached. Raises ModelError."""
    if os.path.isfile(model):
        raise ModelError(_refusal(Path(model)))
    folder = fetch(model, _check, COVERED)
    _check(folder)
    return folder


def locate_text(model: str) -> Path:
    """The same for what reads its prompts alone: text encoder and tokenizer."""
    if os.path.isfile(model):
        raise ModelError(_refusal(Path(model)))
    folder = fetch(model, _check_text, TEXT_PARTS)
    _check_text(folder)
    return folder


def _refusal(path: Path) -> str:
    identity = identify(path)
    return f"{path} is {identity}; {ACCEPTED}: {advice(identity)}"


def _check(folder: Path) -> None:
    if not os.path.isfile(folder / "unet" / "config.json"):
        if os.path.isdir(folder / "unet"):
            read_json(folder / "unet" / "config.json")  # says what is wrong with it
        raise ModelError(_refusal(folder))
    if read_json(folder / "unet" / "config.json").get("addition_embed_type") is not None:
        raise ModelError(f"{folder} is {Kind.SDXL.value}; {ACCEPTED}")
    for part in ("unet", "vae"):
        read_json(folder / part / "config.json")
        weights_of(folder / part)
    if (identity := identify(folder)).kind not in (Kind.SD, Kind.UNKNOWN):  # whether it fits is seen when it is loaded
        raise ModelError(f"{folder} is {identity}; {ACCEPTED}: {advice(identity)}")
    _check_text(folder)
    if not os.path.lexists(folder / SCHEDULER):
        raise ModelError(
            f"{folder} has no {SCHEDULER}, which states the noise levels that its network was trained on and what it "
            "predicts; copy that folder from the checkpoint that this one was trained from"
        )


def _check_text(folder: Path) -> None:
    check_files(folder / "tokenizer", ("tokenizer.json",), ("vocab.json", "merges.txt"))
    read_json(folder / "text_encoder" / "config.json")
    weights_of(folder / "text_encoder")


def few_step(scheduler: Mapping[str, Any]) -> bool:
    """Is this the scheduler of a checkpoint that was distilled to draw in few steps?

    A consistency model's (LCM, arXiv 2310.04378), or Euler's on a trailing grid, as adversarially distilled ones have
    it (turbo, arXiv 2311.17042).
    """
    kind = str(scheduler.get("_class_name"))
    euler = kind.startswith("Euler") and scheduler.get("timestep_spacing") == "trailing"
    return kind == "LCMScheduler" or (euler and not scheduler.get("rescale_betas_zero_snr"))


def read_card(folder: Path, usual: Mapping[str, Any]) -> Card:
    """What the checkpoint recommends; ``usual``: where it says nothing, over Card's defaults. Raises ModelError."""
    path, learned = folder / "pnpvideo.json", read_learned_words(folder)
    if not os.path.lexists(path):
        return Card(**usual, learned_words=learned)
    known: dict[str, Any] = {field.name: field.type for field in fields(Card) if field.name != "learned_words"}
    given = read_json(path)
    for name, value in given.items():
        if name not in known:
            raise ModelError(f"{path}: {name!r} is no recommendation; known are: {', '.join(known)}")
        if known[name] in (int, float):
            number(given, name, path, 0, _MOST.get(name, _MOST_USUAL), whole=known[name] is int)
        elif not isinstance(value, known[name]):
            raise ModelError(f"{path}: {name} is {value!r}; accepted is a text")
    stated = {name: printable(value) if isinstance(value, str) else value for name, value in given.items()}
    return Card(**{**usual, **stated}, learned_words=learned)


def number(
    config: Mapping[str, Any], name: str, source: object, least: float, most: float, *, whole: bool = False
) -> float:
    """The number that a config states, from ``least`` to ``most``. Raises ModelError; ``source`` is named in it."""
    value = config.get(name)
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if value is None or not right or not math.isfinite(value) or not least <= value <= most:
        kind = "whole number" if whole else "number"
        raise ModelError(f"{source}: {name} is {value!r}; accepted is a {kind} from {least:g} to {most:g}")
    return value
