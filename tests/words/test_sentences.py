"""Sentences about a concept: read from a file, and filtered."""

from pathlib import Path

import pytest

from pnpvideo.errors import InputError, OptionError
from pnpvideo.words.sentences import filter_sentences, mentions, read_sentences


def test_only_sentences_that_say_the_word_are_kept_once() -> None:
    lines = ["a ball", "A  ball ", "", "two balls on grass", "a cube", "a ballad", "the ball's shadow"]
    found = filter_sentences("ball", lines)
    assert found.sentences == ["a ball", "two balls on grass", "the ball's shadow"]
    assert found.dropped == {"said twice": 1, "empty": 1, "without 'ball'": 2}
    with pytest.raises(OptionError, match="a concept is empty"):
        filter_sentences(" ", lines)


@pytest.mark.parametrize("text", ["a ball", "Two BALLS.", "a red  ball, on grass", "ball"])
def test_a_text_mentions_a_concept_as_a_word_or_its_plural(text: str) -> None:
    assert mentions(text, " ball")


@pytest.mark.parametrize("text", ["", "a football", "a ballad", "a bal"])
def test_a_part_of_another_word_is_no_mention(text: str) -> None:
    assert not mentions(text, "ball")


def test_a_file_is_a_sentence_a_line(tmp_path: Path) -> None:
    path = tmp_path / "balls.txt"
    path.write_bytes(b"\xef\xbb\xbfa ball\r\nanother ball\n")
    assert read_sentences(path) == ["a ball", "another ball"]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no UTF-8 text"):
        read_sentences(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_sentences(tmp_path / "none.txt")


def test_a_url_is_no_list_of_sentences() -> None:
    with pytest.raises(InputError, match=r"https://example\.com/c\.txt is a URL; only local files are read"):
        read_sentences(Path("https://example.com/c.txt"))
