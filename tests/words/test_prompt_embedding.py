"""What weights in a prompt do to its embedding."""

import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.words.prompt_embedding import embed_prompt, token_weights
from pnpvideo.words.prompt_weights import Piece, plain_text


def test_a_weight_scales_about_the_empty_prompt(either: StableDiffusion) -> None:
    """The tokenizer has one token a letter: "ab cd ef" is start, a, b, c, d, e, f, end."""
    read, nothing = (either.text.embeds([text])[0] for text in ("ab cd ef", ""))
    found = embed_prompt(either, "ab (cd:1.4) (ef:0)")
    plain, empty = read.tokens, nothing.tokens
    weighted = found.tokens
    assert found.with_tokens(read.tokens).equals(read)  # a pooled part is unchanged
    for token in range(either.text.length):
        weight = {3: 1.4, 4: 1.4, 5: 0.0, 6: 0.0}.get(token)
        expected = plain[token] if weight is None else empty[token] + weight * (plain[token] - empty[token])
        assert torch.equal(weighted[token], expected), token


def test_a_prompt_without_weights_is_embedded_as_it_is(backend: StableDiffusion) -> None:
    for prompt in ("ab cd", "ab (cd)", "[ab] cd", "", "(ab:1) cd"):
        assert torch.equal(embed_prompt(backend, prompt).tokens, backend.embed(plain_text(prompt)).tokens)


def test_a_weight_beyond_the_last_token_that_is_read_has_no_place(backend: StableDiffusion) -> None:
    long = "a" * (backend.text.length + 5)
    assert torch.equal(
        token_weights(backend.text, [Piece(long, 1.0), Piece(" b", 2.0)]), torch.ones(backend.text.length)
    )
