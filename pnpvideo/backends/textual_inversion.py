"""Add the words of textual inversions to a text encoder and its tokenizer (arXiv 2208.01618, section 4)."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import AddedToken
from torch import Tensor, nn
from transformers import CLIPTokenizer

from pnpvideo.backends.embedding_file import EmbeddingFile
from pnpvideo.backends.fingerprint import sha256
from pnpvideo.backends.model_files import first_line
from pnpvideo.errors import ModelError

FIRST_SIGN = 0xE000
"""Of Unicode's private characters, each of which is one token here, so that no text of a prompt can be one."""


def spellings_of(embeddings: Sequence[EmbeddingFile]) -> Mapping[str, str]:
    """Word -> the signs that stand for its vectors in what the tokenizer reads."""
    signs = map(chr, count(FIRST_SIGN))
    return {each.word: "".join(next(signs) for _ in range(each.vectors)) for each in embeddings}


@torch.no_grad()
def add_words(embeddings: Sequence[EmbeddingFile], part: str, encoder: Any, tokenizer: CLIPTokenizer) -> None:
    """Append a token for each vector to the text encoder ``part``, in fp32, and to its tokenizer. Raises ModelError."""
    if not embeddings:
        return
    signs = "".join(spellings_of(embeddings).values())
    tokenizer.add_tokens([AddedToken(sign, normalized=False, special=False) for sign in signs])
    table = encoder.get_input_embeddings().weight
    first, vectors = tokenizer.convert_tokens_to_ids(signs[0]), torch.cat([_vectors(each, part) for each in embeddings])
    unused = table[:1].expand(max(0, first - len(table)), -1)
    rows = torch.cat((table[:first], unused, vectors.to(table))).contiguous()
    encoder.set_input_embeddings(nn.Embedding(len(rows), rows.shape[1], _weight=rows).requires_grad_(False))
    encoder.config.vocab_size = len(rows)
    for module in encoder.modules():
        if getattr(module, "eos_token_id", None) is not None:  # else old configs take the largest token for the end
            module.eos_token_id = tokenizer.eos_token_id


def _vectors(embedding: EmbeddingFile, part: str) -> Tensor:
    """(vectors, channels), fp32."""
    try:
        with safe_open(embedding.path, framework="pt") as file:
            found: Tensor = file.get_tensor(embedding.tensors[part]).float().reshape(embedding.vectors, -1)
    except (SafetensorError, OSError, ValueError) as damaged:
        raise ModelError(f"{embedding.path} cannot be loaded as safetensors: {first_line(damaged)}") from damaged
    if not bool(found.isfinite().all()):
        raise ModelError(f"{embedding.path} holds numbers that are not finite; the file is damaged")
    return found


def embeddings_fingerprint(embeddings: Sequence[EmbeddingFile]) -> str:
    """sha256 of contents and words; file names make no difference."""
    return hashlib.sha256(repr([(sha256(each.path), each.word.lower()) for each in embeddings]).encode()).hexdigest()
