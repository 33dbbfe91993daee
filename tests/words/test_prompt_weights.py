"""Weights in prompts: what is read as one, and what is text."""

import pytest

from pnpvideo.errors import OptionError
from pnpvideo.words.prompt_weights import Piece, check_weights, escaped, parse_weights, plain_text


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("an (oil:1.4) painting", [("an ", 1), ("oil", 1.4), (" painting", 1)]),
        ("(a fox:0.5)", [("a fox", 0.5)]),
        ("(a fox : .5 )", [("a fox ", 0.5)]),
        ("(a (red:2) fox:1.5)", [("a ", 1.5), ("red", 3.0), (" fox", 1.5)]),
        ("(a (very) red fox:1.5)", [("a (very) red fox", 1.5)]),
        ("(a fox:+2)(a hen:0)", [("a fox", 2), (" a hen", 0)]),
        ("(car:2)toon", [("car", 2), (" toon", 1)]),
        ("(wow!:2)!?", [("wow!", 2), (" !?", 1)]),
        ("(fox:2), a hen", [("fox", 2), (", a hen", 1)]),
        (r"(a \(red:2\) fox:1.5)", [("a (red:2) fox", 1.5)]),
        ("((fox:2)", [("(", 1), ("fox", 2)]),
        ("(a:b:2)", [("a:b", 2)]),
    ],
)
def test_a_number_after_a_colon_in_parentheses_is_a_weight(prompt: str, pieces: list[tuple[str, float]]) -> None:
    assert parse_weights(prompt) == [Piece(*piece) for piece in pieces]


@pytest.mark.parametrize(
    "prompt",
    [
        *("", "a fox", "a fox (red), asleep", "a [red] fox", "((a fox))", "a fox :1.4)", "(a fox:1.4", "(:2)", "( :2)"),
        *("(a fox:two)", "(a fox:1.4.2)", "(a fox:1.4 or so)", "a\\b", "12:30", "(a) fox:2)", "a fox)(", "\n(\u00e4)"),
    ],
)
def test_all_else_is_text(prompt: str) -> None:
    assert plain_text(prompt) == prompt
    assert {piece.weight for piece in parse_weights(prompt)} <= {1.0}


def test_escaped_parentheses_are_text() -> None:
    assert parse_weights(r"a fox \(red:2\)") == [Piece("a fox (red:2)", 1.0)]
    for text in ("a clock (12:30)", "a fox (red)", "a fox", r"\(", "(a:1) \\)"):
        assert plain_text(escaped(text)) == text or "\\" in text
        assert {piece.weight for piece in parse_weights(escaped(text))} == {1.0}
    assert escaped("a fox (red)") == "a fox (red)"


@pytest.mark.parametrize("number", ["-1", "4.01", "30"])
def test_a_weight_out_of_range_is_refused(number: str) -> None:
    with pytest.raises(OptionError, match=rf"gives a weight of {number}; accepted is \(text:number\) with a number"):
        parse_weights(f"a clock (12:{number})")


def test_every_prompt_is_checked_and_none_is_fine() -> None:
    check_weights(None, "", "a (fox:2)", "a fox")
    with pytest.raises(OptionError, match=r"the prompt 'a \(fox:9\)' gives a weight of 9"):
        check_weights(None, "a fox", "a (fox:9)")
