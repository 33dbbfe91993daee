"""Words that a model was not trained on."""

import pytest

from pnpvideo.words.prompt_checks import unlearned_words

LEARNED = frozenset({"a", "red", "ball", "on", "grass"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red ball on grass", []),
        ("A Red BALL, on-grass!", []),
        ("a dragon on a dragon's red hoard", ["dragon", "dragon's", "hoard"]),
        ("2 red balls in 4k", ["balls", "in", "k"]),
        ("ein Bär", ["ein", "bär"]),
        ("", []),
    ],
)
def test_words_that_are_not_in_the_list_are_named_once(text: str, expected: list[str]) -> None:
    assert unlearned_words(text, LEARNED) == expected


def test_without_a_list_every_word_passes() -> None:
    assert unlearned_words("a dragon", frozenset()) == []
