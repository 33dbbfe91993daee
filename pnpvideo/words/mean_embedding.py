"""Mean embeddings of sentences about a concept: counted from the start, from the concept's word, and from the end.

Counting from the start is as published (arXiv 2302.03027, section 3.1). But the word stands elsewhere in each sentence,
so its own difference is spread over a dozen tokens; counted from the word on, and from the token that ends the text on,
it is not. A causal text encoder has no difference before the word; that of one which reads both ways is left out.
Where several tokenizers read a text, each has a block of the tokens, and rows count from its beginning (see TextBlock).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pnpvideo.backends.backend import Text
from pnpvideo.errors import OptionError


@dataclass(frozen=True)
class MeanEmbedding:
    """Three means, each (tokens, channels), fp32; pooled: that of the pooled parts (channels,), where there are any.

    start: row r is of token r. word: in each block, row r is of the r-th token after the concept's first, as far as
    that lies before the sentence's end. end: in each block, row r is of the r-th token after the one that ends the
    text. reach: for each block how many rows of ``word`` and of ``end`` any sentence had; the rows beyond repeat the
    last of these.
    """

    start: Tensor
    word: Tensor
    end: Tensor
    reach: tuple[tuple[int, int], ...]
    pooled: Tensor | None = None


def mean_embedding(
    text: Text,
    sentences: Sequence[str],
    concept: str,
    batch: int = 64,
    progress: Callable[[int], None] = lambda count: None,
) -> MeanEmbedding:
    """Return the means over ``sentences``, summed in fp64; ``progress`` is called with the number embedded so far.

    A sentence that has ``concept`` only in a form with other tokens, such as a plural, counts for start and end alone.
    Raises OptionError if there is no sentence.
    """
    if not sentences:
        raise OptionError("there is no sentence to take the mean of")
    length, width = text.length, text.width
    start = torch.zeros(length, width, dtype=torch.float64)
    pooled: Tensor | None = None
    sums = {name: torch.zeros(length, width, dtype=torch.float64) for name in ("word", "end")}
    counts = {name: torch.zeros(length, 1, dtype=torch.float64) for name in ("word", "end")}
    for first in range(0, len(sentences), batch):
        some = sentences[first : first + batch]
        read = text.embeds(some).to("cpu")
        embeddings = read.tokens.double()
        start += embeddings.sum(0)
        if read.pooled is not None:
            whole = read.pooled.double().sum(0)
            pooled = whole if pooled is None else pooled + whole
        for sentence, tokens in zip(some, embeddings, strict=True):
            for block in text.blocks(sentence, concept):
                word = block.end if block.word is None else block.word
                spans = {"end": tokens[block.end : block.stop], "word": tokens[word : block.end]}
                for name, span in spans.items():
                    rows = slice(block.first, block.first + len(span))
                    sums[name][rows] += span
                    counts[name][rows] += 1
        progress(min(first + batch, len(sentences)))
    means, reach = {name: sums[name] / counts[name].clamp_min(1) for name in sums}, []
    for block in text.blocks(sentences[0], concept):
        rows = slice(block.first, block.stop)
        reach.append((int((counts["word"][rows] > 0).sum()), int((counts["end"][rows] > 0).sum())))
        for name, rows_seen in zip(("word", "end"), reach[-1], strict=True):
            means[name][rows] = _repeat_last(means[name][rows], rows_seen)
    return MeanEmbedding(
        start=(start / len(sentences)).float(),
        word=means["word"].float(),
        end=means["end"].float(),
        reach=tuple(reach),
        pooled=None if pooled is None else (pooled / len(sentences)).float(),
    )


def _repeat_last(mean: Tensor, reach: int) -> Tensor:
    """Return ``mean`` with all rows from ``reach`` on replaced by the last row before them."""
    return mean if reach == 0 else torch.cat((mean[:reach], mean[reach - 1 :][:1].expand(len(mean) - reach, -1)))
