"""Edit directions in text-embedding space (pix2pix-zero, arXiv 2302.03027, section 3.1).

A direction is the mean embedding of sentences about a target minus that of sentences about a source, token by token.
Most of its norm lies at padding tokens, so it belongs to one text encoder, tokenizer and length; it names its encoder,
and another one refuses it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from pnpvideo.backends.backend import Text, TextBlock
from pnpvideo.errors import ModelError, OptionError
from pnpvideo.injection import Conditioning
from pnpvideo.words.mean_embedding import mean_embedding
from pnpvideo.words.sentences import SentenceSet
from pnpvideo.words.templates import template_pairs

TENSORS = ("delta", "word", "end", "pooled")
"""The fields of an EditDirection that are tensors, under these names in files and in the store."""


@dataclass(frozen=True, kw_only=True)
class EditDirection:
    """``delta`` (tokens, channels), fp32, is added to the embedding of the text that describes the picture.

    word, end: the same difference, counted in each block from the source's word and from the end of the text on (see
    MeanEmbedding); None if unknown. pooled: the difference (channels,) of the texts' pooled parts; None where they have
    none. source, target: the two concepts. encoder: fingerprint of the text encoder and its tokenizer; "" in files of
    the reference project, which do not state it. counts: for each concept how many sentences were used, under "kept",
    and how many were dropped, by reason.
    """

    delta: Tensor
    source: str
    target: str
    encoder: str
    word: Tensor | None = None
    end: Tensor | None = None
    pooled: Tensor | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def delta_at(self, blocks: Sequence[TextBlock]) -> Tensor:
        """Return the difference (tokens, channels) for a text whose word begins, and which ends, as ``blocks`` say.

        Tokens of a block without the word, or of no block, have that of ``delta``.
        """
        if self.word is None or self.end is None:
            return self.delta
        found = self.delta.clone()
        for first, stop, word, end in blocks:
            if word is not None:
                found[first:word] = 0
                found[word:end] = self.word[first : first + end - word]
                found[end:stop] = self.end[first : first + stop - end]
        return found

    def check_encoder(self, encoder: str, shape: tuple[int, int], pooled: int | None = None) -> None:
        """Raise ModelError unless the direction fits ``encoder``, whose texts have ``shape`` (tokens, channels).

        pooled: channels of their pooled part, if they have one.
        """
        name = f"the direction from {self.source!r} to {self.target!r}"
        if tuple(self.delta.shape) != shape:
            raise ModelError(
                f"{name} has {self.delta.shape[0]} tokens of width {self.delta.shape[1]}, this model's text has "
                f"{shape[0]} of {shape[1]}; build it with this model: pnpvideo direction build --model ..."
            )
        if self.pooled is not None and len(self.pooled) != pooled:
            raise ModelError(
                f"{name} has a pooled part of {len(self.pooled)} channels, this model's text has {pooled or 'none'}; "
                "build it with this model: pnpvideo direction build --model ..."
            )
        if self.encoder and self.encoder != encoder:
            raise ModelError(
                f"{name} was built with another text encoder ({self.encoder[:12]}, this is {encoder[:12]}); "
                "build it with this model: pnpvideo direction build --model ..."
            )

    def tensors(self) -> dict[str, Tensor]:
        """Return name -> tensor, contiguous, of TENSORS; those that are None are left out."""
        named = {name: getattr(self, name) for name in TENSORS}
        return {name: tensor.contiguous() for name, tensor in named.items() if tensor is not None}


def apply_directions(
    text: Text,
    prompt: str,
    embedding: Conditioning,
    directions: Iterable[tuple[EditDirection, float]],
    placement: str = "word",
) -> Conditioning:
    """Return ``embedding`` of ``prompt``, without a batch dimension, with each direction added, times its strength.

    placement: "word" adds a direction from the source's word on, where ``prompt`` contains it and the direction knows
    its differences there. Otherwise, and with "start", it is added token by token from the start, as published. A
    pooled part moves along the direction's own, if that has one.
    """
    for direction, strength in directions:
        blocks = text.blocks(prompt, direction.source) if placement == "word" and direction.source else ()
        delta = direction.delta_at(blocks)
        tokens, pooled = embedding.tokens + strength * delta.to(embedding.tokens), embedding.pooled
        if pooled is not None and direction.pooled is not None:
            pooled = pooled + strength * direction.pooled.to(pooled)
        embedding = Conditioning(tokens, pooled)
    return embedding


def build_direction(
    text: Text,
    source: SentenceSet,
    target: SentenceSet,
    progress: Callable[[int], None] = lambda count: None,
    batch: int = 64,
) -> EditDirection:
    """Return the direction from one concept to another, from sentences about each.

    progress: called with the number of sentences that are embedded. Raises OptionError if a side has no sentence.
    """
    for side in (source, target):
        if not side.sentences:
            raise OptionError(f"no sentence says {side.concept!r}; dropped were: {side.dropped or 'none'}")
    first = mean_embedding(text, source.sentences, source.concept, batch, progress)
    second = mean_embedding(
        text, target.sentences, target.concept, batch, lambda count: progress(len(source.sentences) + count)
    )
    has_word = all(min(one[0], other[0]) > 0 for one, other in zip(first.reach, second.reach, strict=True))
    counts = {side.concept: {"kept": len(side.sentences), **side.dropped} for side in (source, target)}
    return EditDirection(
        delta=second.start - first.start,
        word=second.word - first.word if has_word else None,
        end=second.end - first.end if has_word else None,
        pooled=None if first.pooled is None or second.pooled is None else second.pooled - first.pooled,
        source=source.concept,
        target=target.concept,
        encoder=text.fingerprint,
        counts=counts,
    )


def direction_from_templates(text: Text, source: str, target: str) -> EditDirection:
    """Return the direction between two concepts from the built-in templates."""
    return build_direction(text, *template_pairs(source, target, text.known))
