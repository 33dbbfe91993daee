"""Mean embeddings of sentences about a concept: token by token from the start, from the concept's word, from the end.

From the start is as published (arXiv 2302.03027, section 3.1). But a word stands elsewhere in each sentence, so there
its own difference is spread thin over a dozen tokens; counted from the word on, and from the token that ends the text
on, it is not. A causal text encoder has no difference before the word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pnpvideo.backends.backend import Text
from pnpvideo.errors import OptionError


@dataclass(frozen=True)
class MeanEmbedding:
    """Each (tokens, channels), fp32. start: of all tokens. word: entry r is of the r-th token after the concept's first
    one, where a sentence has so many before its end. end: entry r is of the r-th after the one that ends the text.

    reach: entries of ``word`` and ``end`` that any sentence had; what lies beyond repeats the last.
    """

    start: Tensor
    word: Tensor
    end: Tensor
    reach: tuple[int, int]


def mean_embedding(
    text: Text,
    sentences: Sequence[str],
    word: str,
    batch: int = 64,
    done: Callable[[int], None] = lambda count: None,
) -> MeanEmbedding:
    """Mean over ``sentences``, running sums in fp64; ``done`` hears how many are embedded.

    A sentence that says ``word`` only in a form that is another token counts from the start and the end alone.
    """
    if not sentences:
        raise OptionError("there is no sentence to take the mean of")
    length, width = text.length, text.width
    start = torch.zeros(length, width, dtype=torch.float64)
    sums = {name: torch.zeros(length, width, dtype=torch.float64) for name in ("word", "end")}
    seen = {name: torch.zeros(length, 1, dtype=torch.float64) for name in ("word", "end")}
    for first in range(0, len(sentences), batch):
        some = sentences[first : first + batch]
        embedded = text.embeds(some).cpu().double()
        start += embedded.sum(0)
        for sentence, tokens in zip(some, embedded, strict=True):
            end, said = text.end(sentence), text.positions(sentence, word)
            spans = {"end": tokens[end:], "word": tokens[said[0] : end] if said else tokens[:0]}
            for name, span in spans.items():
                sums[name][: len(span)] += span
                seen[name][: len(span)] += 1
        done(min(first + batch, len(sentences)))
    reach = {name: int((count > 0).sum()) for name, count in seen.items()}
    parts = {name: _held(sums[name] / seen[name].clamp_min(1), reach[name]) for name in sums}
    return MeanEmbedding(
        (start / len(sentences)).float(),
        parts["word"].float(),
        parts["end"].float(),
        (reach["word"], reach["end"]),
    )


def _held(mean: Tensor, reach: int) -> Tensor:
    """Its last known entry in place of all that lie beyond."""
    return mean if reach == 0 else torch.cat((mean[:reach], mean[reach - 1 :][:1].expand(len(mean) - reach, -1)))
