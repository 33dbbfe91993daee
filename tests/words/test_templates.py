"""Sentences about two concepts from templates."""

import pytest

from pnpvideo.errors import OptionError
from pnpvideo.words.templates import template_pairs, with_article


def test_templates_come_in_pairs() -> None:
    balls, cubes = template_pairs("ball", " cube ")
    assert len(balls.sentences) == len(cubes.sentences) == len(set(balls.sentences)) > 500
    assert all(a.replace("ball", "cube") == b for a, b in zip(balls.sentences, cubes.sentences, strict=True))
    apples, cats = template_pairs("apple", "cats")
    assert "an apple" in apples.sentences and "a photo of cats on grass" in cats.sentences
    with pytest.raises(OptionError, match="a concept is empty"):
        template_pairs("ball", " ")


@pytest.mark.parametrize(
    ("concepts", "expected"),
    [
        (("red", "crimson"), ("a photo of a red house on sand", "a photo of a crimson house on sand")),
        (("anime", "photo"), ("an anime of a dog on grass at sunset", "a photo of a dog on grass at sunset")),
        (("at night", "midday"), ("this is an old ball", "")),
        (("midday", "at night"), ("a sketch of a boat on snow midday", "a sketch of a boat on snow at night")),
    ],
)
def test_the_kind_of_either_concept_is_that_of_the_pair(concepts: tuple[str, str], expected: tuple[str, str]) -> None:
    sides = template_pairs(*concepts)
    assert len(sides[0].sentences) == len(sides[1].sentences)
    if expected[1]:
        assert (sides[0].sentences.index(expected[0]), *expected) == (sides[1].sentences.index(expected[1]), *expected)


def test_sentences_with_unknown_words_are_dropped_where_enough_are_left() -> None:
    few, _ = template_pairs("ball", "cube", lambda word: word not in ("forest", "street"))
    assert 0 < few.dropped["unknown words"] == len(template_pairs("ball", "cube")[0].sentences) - len(few.sentences)
    assert not any("forest" in sentence for sentence in few.sentences)
    every, _ = template_pairs("ball", "cube", lambda word: False)
    assert not every.dropped and every.sentences == template_pairs("ball", "cube")[0].sentences


@pytest.mark.parametrize(
    ("word", "expected"),
    [("ball", "a ball"), ("apple", "an apple"), ("the sea", "the sea"), ("glass", "a glass"), ("cats", "cats")],
)
def test_articles(word: str, expected: str) -> None:
    assert with_article(word) == expected
