"""Sentences about concepts: templates, files, and what is dropped."""

from pathlib import Path

import pytest

from pnpvideo.errors import InputError, OptionError
from pnpvideo.words.sentences import checked, described, from_file, in_phrase, mentions, paired, with_article


def test_templates_come_in_pairs() -> None:
    balls, cubes = paired("ball", " cube ")
    assert len(balls.kept) == len(cubes.kept) == len(set(balls.kept)) > 500
    assert all(a.replace("ball", "cube") == b for a, b in zip(balls.kept, cubes.kept, strict=True))
    apples, cats = paired("apple", "cats")
    assert "an apple" in apples.kept and "a photo of cats on grass" in cats.kept
    with pytest.raises(OptionError, match="a concept is empty"):
        paired("ball", " ")


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
    sides = paired(*concepts)
    assert len(sides[0].kept) == len(sides[1].kept)
    if expected[1]:
        assert (sides[0].kept.index(expected[0]), *expected) == (sides[1].kept.index(expected[1]), *expected)


def test_sentences_with_unknown_words_are_dropped_where_enough_are_left() -> None:
    few, _ = paired("ball", "cube", lambda word: word not in ("forest", "street"))
    assert 0 < few.dropped["unknown words"] == len(paired("ball", "cube")[0].kept) - len(few.kept)
    assert not any("forest" in sentence for sentence in few.kept)
    every, _ = paired("ball", "cube", lambda word: False)
    assert not every.dropped and every.kept == paired("ball", "cube")[0].kept


def test_only_sentences_that_say_the_word_are_kept_once() -> None:
    lines = ["a ball", "A  ball ", "", "two balls on grass", "a cube", "a ballad", "the ball's shadow"]
    found = checked("ball", lines)
    assert found.kept == ["a ball", "two balls on grass", "the ball's shadow"]
    assert found.dropped == {"said twice": 1, "empty": 1, "without 'ball'": 2}
    with pytest.raises(OptionError, match="a concept is empty"):
        checked(" ", lines)


@pytest.mark.parametrize("text", ["a ball", "Two BALLS.", "a red  ball, on grass", "ball"])
def test_a_text_mentions_a_concept_as_a_word_or_its_plural(text: str) -> None:
    assert mentions(text, " ball")


@pytest.mark.parametrize("text", ["", "a football", "a ballad", "a bal"])
def test_a_part_of_another_word_is_no_mention(text: str) -> None:
    assert not mentions(text, "ball")


def test_a_concept_in_its_phrase() -> None:
    text = "a photo of a red metal ball on grass at sunset"
    assert in_phrase(text, "ball", "cube") == ("red metal ball", "red metal cube")
    assert in_phrase(text, "red", "blue") == ("red metal ball", "blue metal ball")
    assert in_phrase(text, "metal", "glass") == ("red metal ball", "red glass ball")
    assert in_phrase(text, "at sunset", "at night") == ("at sunset", "at night")
    assert in_phrase(text, "house", "tree") == ("house", "tree")
    assert in_phrase("all is red", "red", "blue") == ("red", "blue")
    assert in_phrase("a ball that is red on top", "red", "blue") == ("red", "blue")


def test_what_a_look_describes() -> None:
    assert described("a photo of a red ball on grass", "red") == "ball"
    assert described("a Red metal cube, cartoon", "red") == "cube"
    assert described("a ball on grass", "red") == "" == described("all is red", "red")
    assert described("a red and white ball", "red") == "ball" == described("a red, old ball", "red")
    assert described("a ball that is red on a table", "red") == ""


@pytest.mark.parametrize(
    ("word", "expected"),
    [("ball", "a ball"), ("apple", "an apple"), ("the sea", "the sea"), ("glass", "a glass"), ("cats", "cats")],
)
def test_articles(word: str, expected: str) -> None:
    assert with_article(word) == expected


def test_a_file_is_a_sentence_a_line(tmp_path: Path) -> None:
    path = tmp_path / "balls.txt"
    path.write_bytes(b"\xef\xbb\xbfa ball\r\nanother ball\n")
    assert from_file(path) == ["a ball", "another ball"]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no UTF-8 text"):
        from_file(path)
    with pytest.raises(InputError, match="cannot be read"):
        from_file(tmp_path / "none.txt")


def test_a_url_is_no_list_of_sentences() -> None:
    with pytest.raises(InputError, match=r"https://example\.com/c\.txt is a URL; only local files are read"):
        from_file(Path("https://example.com/c.txt"))
