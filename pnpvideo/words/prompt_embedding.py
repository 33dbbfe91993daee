"""The embedding of a prompt with weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend, Text
from pnpvideo.words.prompt_weights import Piece, parse_weights


def embed_prompt(backend: Backend, prompt: str) -> Tensor:
    """Return the embedding (tokens, channels) of ``prompt``, fp32, on the backend's device.

    A token of weight w moves from the empty prompt's embedding e0 at its place: e0 + w (e - e0), as in ComfyUI, and in
    compel for w > 1. Tokens of weight 1, and those that start, end and pad the text, are unchanged.
    """
    pieces = parse_weights(prompt)
    embedding = backend.embed("".join(piece.text for piece in pieces))
    if all(piece.weight == 1 for piece in pieces):
        return embedding
    weights = token_weights(backend.text, pieces).to(embedding).unsqueeze(1)
    empty = backend.embed("")
    return torch.where(weights == 1, embedding, empty + weights * (embedding - empty))


def token_weights(text: Text, pieces: Sequence[Piece]) -> Tensor:
    """Return the weight of every token, (tokens,) fp32, of the text that consists of ``pieces``."""
    weights, read, first = torch.ones(text.length), "", 1
    for piece in pieces:
        read += piece.text
        end = text.end(read)
        weights[first:end] = piece.weight
        first = end
    return weights
