"""The embedding of a prompt with weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend, Text
from pnpvideo.injection import Conditioning
from pnpvideo.words.prompt_weights import Piece, parse_weights


def embed_prompt(backend: Backend, prompt: str) -> Conditioning:
    """Return what ``prompt`` conditions the backend's network on, on its device.

    A token of weight w moves from the empty prompt's embedding e0 at its place: e0 + w (e - e0), as in ComfyUI, and in
    compel for w > 1. Tokens of weight 1, and those that start, end and pad the text, are unchanged, and so is the
    pooled part, which is of the text as a whole.
    """
    pieces = parse_weights(prompt)
    conditioning = backend.embed("".join(piece.text for piece in pieces))
    if all(piece.weight == 1 for piece in pieces):
        return conditioning
    tokens, empty = conditioning.tokens, backend.text.embeds([""])[0].tokens
    weights = token_weights(backend.text, pieces).to(tokens).unsqueeze(1)
    return conditioning.with_tokens(torch.where(weights == 1, tokens, empty + weights * (tokens - empty)))


def token_weights(text: Text, pieces: Sequence[Piece]) -> Tensor:
    """Return the weight of every token, (tokens,) fp32, of the text that consists of ``pieces``."""
    parts = text.part_of_tokens([piece.text for piece in pieces])
    return torch.tensor([1.0 if part is None else pieces[part].weight for part in parts])
