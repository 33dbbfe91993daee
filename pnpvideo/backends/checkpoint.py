"""A checkpoint of Stable Diffusion in the diffusers layout: found, checked and read before any weight is loaded."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pnpvideo.backends.hub import fetch, local_folder
from pnpvideo.backends.identify import ACCEPTED, Kind, advice, identify
from pnpvideo.backends.learned_words import read_learned_words
from pnpvideo.backends.model_files import check_files, read_json, weights_of
from pnpvideo.errors import ModelError, OptionError, printable
from pnpvideo.events import Report, ignore
from pnpvideo.settings.card import Card

PARTS = ("unet", "vae", "text_encoder")
TEXT_PARTS = ("text_encoder", "tokenizer")
COVERED = (*PARTS, "tokenizer", "scheduler", "captioner", "judge", "model_index.json", "pnpvideo.json")
"""What is fetched of a checkpoint, and what its fingerprint and stated hashes cover."""
SCHEDULER = "scheduler/scheduler_config.json"
FEW_STEP_CARD = {"guidance": 1.0, "edit_guidance": 1.0, "inversion_rounds": 2}
"""Distilled checkpoints have their guidance inside; their long steps are inverted by corrections (as in arXiv
2403.14602)."""


def locate(model: str, report: Report = ignore) -> Path:
    """The local folder of a checkpoint: a folder, or a hub id, fetched if it is not cached. Raises ModelError."""
    if os.path.isfile(model):
        raise ModelError(_refusal(Path(model)))
    folder = fetch(model, _check, COVERED, report)
    _check(folder)
    return folder


def check_named(model: str) -> None:
    """Raise ModelError where ``locate`` would, as far as files on this machine tell: of a hub id, nothing."""
    if os.path.isfile(model):
        raise ModelError(_refusal(Path(model)))
    folder = local_folder(model)
    if folder is not None:
        _check(folder)


def locate_text(model: str, report: Report = ignore) -> Path:
    """The same for what reads its prompts alone: text encoder and tokenizer."""
    if os.path.isfile(model):
        raise ModelError(_refusal(Path(model)))
    folder = fetch(model, _check_text, TEXT_PARTS, report)
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
    """What the checkpoint recommends; ``usual``: what counts where it says nothing. Raises ModelError."""
    path = folder / "pnpvideo.json"
    given = read_json(path) if os.path.lexists(path) else {}
    try:
        card = Card.from_mapping(given, usual)
    except OptionError as error:
        raise ModelError(f"{path}: {error}") from error
    texts = {name: printable(value) for name, value in card.recommended.items() if isinstance(value, str)}
    notice = None if card.outside_notice is None else printable(card.outside_notice)
    learned = read_learned_words(folder)
    return replace(card, recommended={**card.recommended, **texts}, outside_notice=notice, learned_words=learned)


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of itself without its weights being loaded (see settings.effective.Checkpoint)."""

    card: Card
    few_step: bool
    size: int
    prediction: str


def describe(model: str, report: Report = ignore) -> Description:
    """Read the configs of the checkpoint ``model``, a folder or a hub id, fetched if need be. Raises ModelError."""
    folder = locate(model, report)
    from pnpvideo.diffusion.scheduler_config import schedule_from_config  # loads torch

    scheduler = read_json(folder / SCHEDULER)
    few = few_step(scheduler)
    network, autoencoder = (read_json(folder / part / "config.json") for part in ("unet", "vae"))
    cells = int(number(network, "sample_size", folder / "unet" / "config.json", 1, 1024, whole=True))
    factor = 2 ** (len(autoencoder.get("block_out_channels", ())) - 1)
    card = read_card(folder, FEW_STEP_CARD if few else {})
    return Description(card, few, cells * factor, schedule_from_config(scheduler, 1).prediction.value)


def number(
    config: Mapping[str, Any], name: str, source: object, least: float, most: float, *, whole: bool = False
) -> float:
    """The number that a config states, from ``least`` to ``most``. Raises ModelError; ``source`` is named in it."""
    value = config.get(name)
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if value is None or not right or not math.isfinite(value) or not least <= value <= most:
        kind = "whole number" if whole else "number"
        raise ModelError(f"{source}: {name} is {value!r}; accepted is a {kind} from {least:g} to {most:g}")
    checked: float = value
    return checked
