"""The tokenizer of the text encoder, and the vocabulary of the captioner."""

from pathlib import Path
from random import Random

import pytest
from transformers import CLIPTokenizer

from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.art.names import held_out_names, training_names
from pnpvideo.miniature.recipe import tokenizer as module
from pnpvideo.miniature.recipe.tokenizer import LENGTH, art_caption_lines, new_tokenizer, vocabulary_words
from pnpvideo.miniature.world import STYLES, caption, random_scene


@pytest.fixture(scope="module")
def words() -> list[str]:
    return vocabulary_words()


def test_the_vocabulary_has_every_word_of_captions_in_order(words: list[str]) -> None:
    assert words == sorted(set(words))
    for seed in range(50_000, 50_100):
        for style in STYLES:
            text = caption(random_scene(seed), style, Random(seed)).replace(",", " ")
            assert set(text.split()) <= set(words), text
    assert {"morning", "picture"} <= set(words)


def test_captions_of_drawings_use_training_names_alone() -> None:
    lines = art_caption_lines(40, Random(0))
    assert len(lines) == 3 * 40 + 3 * len(training_names())
    held_out = {name.text for name in held_out_names()} - {name.text for name in training_names()}
    assert not held_out & set(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer that was learnt from few captions over and over, instead of thousands."""
    path, few = tmp_path_factory.mktemp("tokenizer"), [random_scene(seed) for seed in range(20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "random_scene", lambda seed: few[seed % len(few)])
        patch.setattr(module, "art_caption_lines", lambda count, rng: art_caption_lines(20, rng))
        new_tokenizer(path)
    return path


def test_an_existing_tokenizer_is_loaded_and_not_learnt_again(folder: Path) -> None:
    before = (folder / "merges.txt").stat().st_mtime_ns
    new_tokenizer(folder)
    assert (folder / "merges.txt").stat().st_mtime_ns == before


def test_common_words_are_one_token_and_any_text_can_be_encoded(folder: Path) -> None:
    tokenizer = new_tokenizer(folder)
    assert tokenizer.model_max_length == LENGTH
    text = "a photo of a red ball"
    assert tokenizer.tokenize(text) == [f"{word}</w>" for word in text.split()]
    ids = tokenizer("Zürich, qxv 42!").input_ids
    assert tokenizer.unk_token_id not in ids[1:-1]
    assert len(tokenizer("a " * 200, truncation=True).input_ids) == LENGTH


def test_the_shipped_tokenizer_has_the_length_of_the_recipe() -> None:
    assert CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer").model_max_length == LENGTH
