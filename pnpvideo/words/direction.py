"""Edit directions in text-embedding space (pix2pix-zero, arXiv 2302.03027, section 3.1).

A direction is the mean embedding of sentences about the target less that of sentences about the source, token by
token. Most of its norm lies at padded places, so it belongs to one text encoder, tokenizer and length; the file says
which, and another one refuses it.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from pnpvideo.backends.backend import Text
from pnpvideo.errors import InputError, ModelError, OptionError, refuse_url
from pnpvideo.publish import write_file
from pnpvideo.words.mean import mean_embedding
from pnpvideo.words.saved_tensor import read_tensor
from pnpvideo.words.sentences import Sentences, paired

FORMAT = "pnpvideo direction 1"
TENSORS = ("delta", "word", "end")
LARGEST = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Direction:
    """``delta`` (tokens, channels), fp32, is added to the embedding of what the picture shows.

    word, end: the same difference from the source's word on, and from the end of the text on (see MeanEmbedding); None
    where it is not known.
    source, target: the concepts. encoder: fingerprint of the text encoder and its tokenizer; "" in files of the
    reference project, which do not say. counts: how many sentences were kept of each side, and dropped, by reason.
    """

    delta: Tensor
    source: str
    target: str
    encoder: str
    word: Tensor | None = None
    end: Tensor | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def at(self, word: int, end: int) -> Tensor:
        """The difference (tokens, channels) in a text whose ``word`` begins, and whose end stands, at these tokens."""
        if self.word is None or self.end is None:
            return self.delta
        length = len(self.delta)
        before = torch.zeros_like(self.delta[:word])
        return torch.cat((before, self.word[: end - word], self.end[: length - end]))

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


def moved(
    text: Text,
    caption: str,
    embedding: Tensor,
    directions: Iterable[tuple[Direction, float]],
    placement: str = "word",
) -> Tensor:
    """``embedding`` (tokens, channels) of ``caption`` with each direction added, times its strength.

    placement: "word", each enters at the word that it changes, where the caption says it and the direction knows, and
    not before; else, and with "start", it is added token by token from the start, as published.
    """
    for direction, strength in directions:
        said = text.positions(caption, direction.source) if placement == "word" and direction.source else ()
        delta = direction.at(said[0], text.end(caption)) if said else direction.delta
        embedding = embedding + strength * delta.to(embedding)
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
    first = mean_embedding(text, source.kept, source.word, batch, done)
    second = mean_embedding(text, target.kept, target.word, batch, lambda count: done(len(source.kept) + count))
    known = min(first.reach[0], second.reach[0]) > 0
    counts = {side.word: {"kept": len(side.kept), **side.dropped} for side in (source, target)}
    return Direction(
        delta=second.start - first.start,
        word=second.word - first.word if known else None,
        end=second.end - first.end if known else None,
        source=source.word,
        target=target.word,
        encoder=text.fingerprint,
        counts=counts,
    )


def templated(text: Text, source: str, target: str) -> Direction:
    """The direction between two concepts from the built-in templates."""
    return build(text, *paired(source, target, text.known))


def save(direction: Direction, path: Path, *, overwrite: bool = True) -> None:
    """Write ``direction`` as safetensors; the file appears whole or not at all. Raises OutputError."""
    about = {"format": FORMAT, "source": direction.source, "target": direction.target, "encoder": direction.encoder}
    content = to_bytes(tensors_of(direction), metadata={**about, "counts": json.dumps(direction.counts)})
    write_file(path, content, overwrite=overwrite)


def tensors_of(direction: Direction) -> dict[str, Tensor]:
    """Name -> tensor, of those that the direction has."""
    named = {name: getattr(direction, name) for name in TENSORS}
    return {name: tensor.contiguous() for name, tensor in named.items() if tensor is not None}


def load(path: Path) -> Direction:
    """Read a direction: ours, or a ``.pt`` tensor of the reference project (no code in it is run). InputError."""
    if not os.path.isfile(path):
        refuse_url(path)
        raise InputError(f"{path} is no file; a direction is made by: pnpvideo direction build")
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path} has {path.stat().st_size >> 20} MiB; a direction has up to {LARGEST >> 20}")
    return _load_tensor(path) if _is_archive(path) else _load_own(path)


def _is_archive(path: Path) -> bool:
    """By the first bytes: zipfile.is_zipfile raises BadZipFile of some damaged ends."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False  # as the reader of our own files will say


def _load_own(path: Path) -> Direction:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise InputError(f"{path} is no direction: its format is {about.get('format')!r}, not {FORMAT!r}")
            there = set(file.keys())
            held = {name: file.get_tensor(name) for name in TENSORS if name in there}
            if not all(tensor.is_floating_point() for tensor in held.values()):
                raise InputError(f"{path} is no direction: its tensors are not of floating-point numbers")
            held = {name: tensor.float() for name, tensor in held.items()}
            direction = Direction(
                delta=held["delta"],
                word=held.get("word"),
                end=held.get("end"),
                source=about["source"],
                target=about["target"],
                encoder=about["encoder"],
                counts=json.loads(about["counts"]),
            )
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as a direction: {error}") from error
    return _sound(direction, path)


def _load_tensor(path: Path) -> Direction:
    """The reference project's: one tensor (1, tokens, channels), nothing said of what it was made with."""
    delta = read_tensor(path)
    if delta.ndim not in (2, 3) or (delta.ndim == 3 and len(delta) != 1):
        raise InputError(f"{path} does not hold one tensor of shape (1, tokens, channels)")
    source, _, target = path.stem.partition("2")
    return _sound(
        Direction(delta=delta.reshape(delta.shape[-2:]).float(), source=source, target=target, encoder=""),
        path,
    )


def _sound(direction: Direction, path: Path) -> Direction:
    for tensor in tensors_of(direction).values():
        if tensor.ndim != 2 or tensor.shape != direction.delta.shape or not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path} is no direction: it does not hold finite tensors (tokens, channels)")
    counts = direction.counts
    if not isinstance(counts, dict) or not all(_is_counts(each) for each in counts.values()):
        raise InputError(f"{path} is no direction: its counts of sentences are damaged")
    return direction


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and "kept" in value and all(type(number) is int for number in value.values())
