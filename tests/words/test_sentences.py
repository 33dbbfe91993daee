"""Sentences about concepts: templates, files, and what is dropped."""

from pathlib import Path

import pytest

from pnpvideo.errors import InputError, OptionError
from pnpvideo.words.sentences import checked, described, from_file, from_templates, with_article


def test_templates_come_in_pairs() -> None:
    balls, cubes = from_templates("ball"), from_templates("cube")
    assert len(balls) == len(cubes) == len(set(balls)) > 500
    assert all(a.replace("ball", "cube") == b for a, b in zip(balls, cubes, strict=True))
    assert "an apple" in from_templates("apple")


def test_only_sentences_that_say_the_word_are_kept_once() -> None:
    lines = ["a ball", "A  ball ", "", "two balls on grass", "a cube", "a ballad", "the ball's shadow"]
    found = checked("ball", lines)
    assert found.kept == ["a ball", "two balls on grass", "the ball's shadow"]
    assert found.dropped == {"said twice": 1, "empty": 1, "without 'ball'": 2}
    with pytest.raises(OptionError, match="a concept is empty"):
        checked(" ", lines)


def test_what_a_look_describes() -> None:
    assert described("a photo of a red ball on grass", "red") == "ball"
    assert described("a Red metal cube, cartoon", "red") == "cube"
    assert described("a ball on grass", "red") == "" == described("all is red", "red")


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
