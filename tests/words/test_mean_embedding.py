"""Means of embeddings, counted from the start, from the concept and from the end: by hand, one token a letter."""

import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import OptionError
from pnpvideo.words.mean_embedding import mean_embedding


def test_each_mean_is_over_the_sentences_that_reach_so_far(backend: StableDiffusion) -> None:
    sentences = ["a hen", "hen sits"]
    found = mean_embedding(backend.text, sentences, "hen", batch=1)
    first, second = backend.text.embeds(sentences).tokens
    assert torch.allclose(found.start, (first + second) / 2, atol=1e-6)
    assert found.reach == ((7, backend.text.length - 5),)  # "hensits"; the end of "a hen" stands at token 5
    assert torch.allclose(found.word[0], (first[2] + second[1]) / 2, atol=1e-6)
    assert torch.allclose(found.word[3], second[4], atol=1e-6)  # only the second has a token there
    assert torch.allclose(found.end[0], (first[5] + second[8]) / 2, atol=1e-6)
    assert torch.equal(found.word[7], found.word[6]) and torch.equal(found.word[-1], found.word[6])


def test_a_sentence_without_the_concept_counts_for_start_and_end(backend: StableDiffusion) -> None:
    found = mean_embedding(backend.text, ["a cow"], "hen")
    (embedding,) = backend.text.embeds(["a cow"]).tokens
    assert found.reach == ((0, backend.text.length - 5),) and not found.word.any()
    assert torch.allclose(found.start, embedding, atol=1e-6)


def test_the_batch_changes_progress_only(backend: StableDiffusion) -> None:
    sentences, counts = [f"hen {n}" for n in range(5)], list[int]()
    whole = mean_embedding(backend.text, sentences, "hen")
    parts = mean_embedding(backend.text, sentences, "hen", 2, counts.append)
    assert counts == [2, 4, 5]
    assert torch.allclose(whole.start, parts.start, atol=1e-6) and torch.allclose(whole.word, parts.word, atol=1e-6)


def test_no_sentence_has_no_mean(backend: StableDiffusion) -> None:
    with pytest.raises(OptionError, match="there is no sentence"):
        mean_embedding(backend.text, [], "hen")
