"""A checkpoint of Stable Diffusion, folder or single file: found, checked and read before any weight is loaded."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pnpvideo.backends.family import Family
from pnpvideo.backends.few_step import FEW_STEP_CARD, as_few_step, few_step
from pnpvideo.backends.hub import fetch, local_folder
from pnpvideo.backends.identify import ACCEPTED, READ, Kind, advice, identify
from pnpvideo.backends.learned_words import read_learned_words
from pnpvideo.backends.model_files import check_files, read_json, tensor_shapes, weights_of
from pnpvideo.backends.packaging import (
    SCHEDULER,
    CheckpointFolder,
    is_joint,
    network_part,
    own_autoencoder,
    packaging,
    tokenizer_part,
)
from pnpvideo.errors import ModelError, OptionError, printable
from pnpvideo.events import Report, ignore
from pnpvideo.settings.card import Card

TEXT_PARTS = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
COVERED = (
    "unet",
    "transformer",
    "vae",
    *TEXT_PARTS,
    "scheduler",
    "captioner",
    "judge",
    "model_index.json",
    "pnpvideo.json",
)
"""What is fetched of a checkpoint, and what its fingerprint and stated hashes cover."""
USUAL_LEVELS = 4
"""Of the autoencoder of every family, each but the first of half the size of the one before."""


def locate(model: str, report: Report = ignore, half: bool = False) -> Path:
    """The local folder or single file of a checkpoint; a hub id is fetched if it is not cached. Raises ModelError.

    half: fetch its weights in fp16, where there are such.
    """
    if os.path.isfile(model):
        return _check_file(Path(model))
    folder = fetch(model, _check, COVERED, report, half)
    _check(folder)
    return folder


def check_named(model: str) -> None:
    """Raise ModelError where ``locate`` would, as far as files on this machine tell: of a hub id, nothing."""
    if os.path.isfile(model):
        _check_file(Path(model))
        return
    folder = local_folder(model)
    if folder is not None:
        _check(folder)


def locate_text(model: str, report: Report = ignore) -> Path:
    """The same for what reads its prompts alone: text encoder and tokenizer. ModelError for Stable Diffusion 3."""
    single = os.path.isfile(model)
    path = _check_file(Path(model)) if single else fetch(model, _check_text, TEXT_PARTS, report)
    if is_joint(path):
        raise ModelError(f"{path} is {Family.SD3.value}; edit directions are for 1.x, 2.x and XL")
    if not single:
        _check_text(path)
    return path


def _check_file(path: Path) -> Path:
    """``path``, if it is a checkpoint of a known family. Whether all parts are there is seen when they are loaded."""
    identity = identify(path)
    if identity.kind == Kind.UNKNOWN and path.suffix == ".safetensors":
        tensor_shapes([path])  # says what is damaged
    if identity.kind not in READ:
        raise ModelError(_refusal(path))
    packaging(path).config(network_part(path))
    return path


def _refusal(path: Path) -> str:
    identity = identify(path)
    return f"{path} is {identity}; {ACCEPTED}: {advice(identity)}"


def _check(folder: Path) -> None:
    if is_joint(folder):
        for part in ("transformer", "vae"):
            read_json(folder / part / "config.json")
            weights_of(folder / part)
        _check_text(folder)
        read_json(folder / SCHEDULER)
        return
    if not os.path.isfile(folder / "unet" / "config.json"):
        if os.path.isdir(folder / "unet"):
            read_json(folder / "unet" / "config.json")  # says what is wrong with it
        raise ModelError(_refusal(folder))
    added = read_json(folder / "unet" / "config.json").get("addition_embed_type")
    if added not in (None, "text_time"):
        raise ModelError(f"{folder}/unet/config.json: addition_embed_type is {added!r}; {ACCEPTED}")
    for part in ("unet", "vae"):
        read_json(folder / part / "config.json")
        weights_of(folder / part)
    if (identity := identify(folder)).kind not in (*READ, Kind.UNKNOWN):  # whether it fits is seen when it is loaded
        raise ModelError(f"{folder} is {identity}; {ACCEPTED}: {advice(identity)}")
    _check_text(folder)
    if not os.path.lexists(folder / SCHEDULER):
        raise ModelError(
            f"{folder} has no {SCHEDULER}, which states the noise levels that its network was trained on and what it "
            "predicts; copy that folder from the checkpoint that this one was trained from"
        )


def _check_text(folder: Path) -> None:
    for part in CheckpointFolder(folder).text_parts:
        sets = (("tokenizer.json",), ("spiece.model",) if part == "text_encoder_3" else ("vocab.json", "merges.txt"))
        check_files(folder / tokenizer_part(part), *sets)
        read_json(folder / part / "config.json")
        weights_of(folder / part)


def read_card(checkpoint: Path, usual: Mapping[str, Any]) -> Card:
    """What the checkpoint recommends; ``usual``: what counts where it says nothing. Raises ModelError.

    The card of a folder is its pnpvideo.json; that of NAME.safetensors is NAME.pnpvideo.json beside it.
    """
    single = os.path.isfile(checkpoint)
    path = checkpoint.with_suffix(".pnpvideo.json") if single else checkpoint / "pnpvideo.json"
    given = read_json(path) if os.path.lexists(path) else {}
    try:
        card = Card.from_mapping(given, usual)
    except OptionError as error:
        raise ModelError(f"{path}: {error}") from error
    texts = {name: printable(value) for name, value in card.recommended.items() if isinstance(value, str)}
    notice = None if card.outside_notice is None else printable(card.outside_notice)
    learned = frozenset() if single else read_learned_words(checkpoint)
    return replace(card, recommended={**card.recommended, **texts}, outside_notice=notice, learned_words=learned)


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of itself without its weights being loaded (see settings.effective.Checkpoint)."""

    card: Card
    few_step: bool
    size: int
    prediction: str


def describe(
    model: str, report: Report = ignore, prediction: str | None = None, distilled: str | None = None
) -> Description:
    """Read the configs of the checkpoint ``model``: a folder, a file or a hub id, fetched if need be. ModelError.

    prediction, distilled: what its network predicts, and how it was distilled, whatever it states (see Customization).
    """
    path = locate(model, report)
    from pnpvideo.diffusion.scheduler_config import schedule_from_config  # loads torch

    source = packaging(path, prediction)
    scheduler, network = as_few_step(source.config("scheduler"), distilled), source.config(network_part(path))
    few = distilled is not None or few_step(scheduler)
    cells = int(number(network, "sample_size", source.named(network_part(path)), 1, 1024, whole=True))
    card = read_card(path, FEW_STEP_CARD if few else {})
    autoencoder = own_autoencoder(source)
    levels = len(autoencoder.get("block_out_channels", ())) if autoencoder else USUAL_LEVELS
    return Description(card, few, cells * 2 ** (levels - 1), schedule_from_config(scheduler, 1).prediction.value)


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
