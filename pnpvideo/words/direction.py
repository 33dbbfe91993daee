"""Edit directions in text-embedding space (pix2pix-zero, arXiv 2302.03027, section 3.1).

A direction is the mean embedding of sentences about the target less that of sentences about the source, token by
token. Most of its norm lies at padded places, so it belongs to one text encoder, tokenizer and length; the file says
which, and another one refuses it.
"""

import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pnpvideo.backends.backend import Text
from pnpvideo.errors import InputError, ModelError, OptionError, OutputError
from pnpvideo.words.sentences import Sentences, checked, from_templates

FORMAT = "pnpvideo direction 1"
TENSOR = "direction"


@dataclass(frozen=True, kw_only=True)
class Direction:
    """``delta`` (tokens, channels), fp32, is added to the embedding of what the picture shows.

    source, target: the concepts. encoder: fingerprint of the text encoder and its tokenizer; "" in files of the
    reference project, which do not say. counts: how many sentences were kept of each side, and dropped, by reason.
    """

    delta: Tensor
    source: str
    target: str
    encoder: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def check(self, encoder: str, shape: tuple[int, int]) -> None:
        """Raises ModelError where this direction belongs to another text encoder."""
        name = f"the direction from {self.source!r} to {self.target!r}"
        if tuple(self.delta.shape) != shape:
            raise ModelError(
                f"{name} has {self.delta.shape[0]} tokens of width {self.delta.shape[1]}, this model's text has "
                f"{shape[0]} of {shape[1]}; build it with this model: pnpvideo direction build --model ..."
            )
        if self.encoder and self.encoder != encoder:
            raise ModelError(
                f"{name} was built with another text encoder ({self.encoder[:12]}, this is {encoder[:12]}); "
                "build it with this model: pnpvideo direction build --model ..."
            )


def mean_embedding(
    embed: Callable[[Sequence[str]], Tensor],
    sentences: Sequence[str],
    batch: int,
    done: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Mean over ``sentences`` of embed(batch) (n, tokens, channels), a running sum: (tokens, channels) fp32."""
    if not sentences:
        raise OptionError("there is no sentence to take the mean of")
    total: Tensor | float = 0.0
    for first in range(0, len(sentences), batch):
        total = total + embed(sentences[first : first + batch]).double().sum(0)
        done(min(first + batch, len(sentences)))
    assert isinstance(total, Tensor)
    return (total / len(sentences)).float().cpu()


def combined(embedding: Tensor, directions: Iterable[tuple[Direction, float]]) -> Tensor:
    """``embedding`` (tokens, channels) with each direction added, times its strength."""
    for direction, strength in directions:
        embedding = embedding + strength * direction.delta.to(embedding)
    return embedding


def build(
    text: Text,
    source: Sentences,
    target: Sentences,
    done: Callable[[int], None] = lambda count: None,
    batch: int = 64,
) -> Direction:
    """The direction between two concepts, from checked sentences about each; ``done`` hears how many are embedded."""
    for side in (source, target):
        if not side.kept:
            raise OptionError(f"no sentence says {side.word!r}; dropped were: {side.dropped or 'none'}")
    first = mean_embedding(text.embeds, source.kept, batch, done)
    second = mean_embedding(text.embeds, target.kept, batch, lambda count: done(len(source.kept) + count))
    counts = {side.word: {"kept": len(side.kept), **side.dropped} for side in (source, target)}
    return Direction(
        delta=second - first, source=source.word, target=target.word, encoder=text.fingerprint, counts=counts
    )


def templated(text: Text, source: str, target: str) -> Direction:
    """The direction between two concepts from the built-in templates."""
    return build(text, checked(source, from_templates(source)), checked(target, from_templates(target)))


def save(direction: Direction, path: Path) -> None:
    """Write ``direction`` as safetensors; the file appears whole. Raises OutputError."""
    about = {"format": FORMAT, "source": direction.source, "target": direction.target, "encoder": direction.encoder}
    temporary = path.with_name(f".{path.name}.part")
    try:
        save_file(
            {TENSOR: direction.delta.contiguous()},
            temporary,
            metadata={**about, "counts": json.dumps(direction.counts)},
        )
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error}") from error


def load(path: Path) -> Direction:
    """Read a direction: ours, or a ``.pt`` tensor of the reference project (no code in it is run). InputError."""
    if not path.is_file():
        raise InputError(f"{path} is no file; a direction is made by: pnpvideo direction build")
    return _load_tensor(path) if zipfile.is_zipfile(path) else _load_own(path)


def _load_own(path: Path) -> Direction:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise InputError(f"{path} is no direction: its format is {about.get('format')!r}, not {FORMAT!r}")
            direction = Direction(
                delta=file.get_tensor(TENSOR).float(),
                source=about["source"],
                target=about["target"],
                encoder=about["encoder"],
                counts=json.loads(about["counts"]),
            )
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a direction: {error}") from error
    return _sound(direction, path)


def _load_tensor(path: Path) -> Direction:
    """The reference project's: one tensor (1, tokens, channels), nothing said of what it was made with."""
    try:
        delta = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a saved tensor: {str(error).splitlines()[0]}") from error
    if not isinstance(delta, Tensor) or delta.ndim not in (2, 3) or (delta.ndim == 3 and len(delta) != 1):
        raise InputError(f"{path} does not hold one tensor of shape (1, tokens, channels)")
    source, _, target = path.stem.partition("2")
    return _sound(
        Direction(delta=delta.reshape(delta.shape[-2:]).float(), source=source, target=target, encoder=""), path
    )


def _sound(direction: Direction, path: Path) -> Direction:
    if direction.delta.ndim != 2 or not bool(torch.isfinite(direction.delta).all()):
        raise InputError(f"{path} is no direction: it is not a finite tensor (tokens, channels)")
    counts = direction.counts
    if not isinstance(counts, dict) or not all(isinstance(each, dict) and "kept" in each for each in counts.values()):
        raise InputError(f"{path} is no direction: its counts of sentences are damaged")
    return direction
