r"""Weights in a prompt: ``an (oil:1.4) painting`` gives "oil" the weight 1.4.

The notation is that of AUTOMATIC1111's web UI, as far as prose cannot be mistaken for it: a weight is read only in
``(text:number)``. Bare parentheses and square brackets, which there mean a weight of 1.1 or 1 / 1.1, are text here.
Groups may be nested; their weights multiply. ``\(`` and ``\)`` are parentheses that are text.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from pnpvideo.errors import OptionError

MAX_WEIGHT = 4.0
_WEIGHT = r":\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)"
_SYMBOL = re.compile(rf"\\[()]|{_WEIGHT}|[()]|[^\\():]+|.", re.DOTALL)


class Piece(NamedTuple):
    """A part of a prompt with one weight; plain text has the weight 1."""

    text: str
    weight: float


def parse_weights(prompt: str) -> list[Piece]:
    """Split ``prompt`` into pieces of one weight each, in order, without the notation itself.

    A space is put between two pieces that would else meet inside of a word or of a run of punctuation, so that every
    piece is a whole number of tokens. Raises OptionError if a weight is not from 0 to MAX_WEIGHT.
    """
    pieces: list[Piece] = []
    open_at: list[int] = []  # where the parentheses that are still open stand in pieces
    for symbol in _SYMBOL.finditer(prompt):
        text, number = symbol.group(), symbol.group(1)
        if number is not None and open_at and any(piece.text.strip() for piece in pieces[open_at[-1] + 1 :]):
            first, weight = open_at.pop(), float(number)
            if not 0 <= weight <= MAX_WEIGHT:
                raise OptionError(
                    f"the prompt {prompt!r} gives a weight of {number}; accepted is (text:number) with a number from 0 "
                    f"to {MAX_WEIGHT:g}; if the parentheses are meant as text, write \\( and \\)"
                )
            pieces[first:] = [Piece(piece.text, piece.weight * weight) for piece in pieces[first + 1 :]]
            continue
        if text == "(":
            open_at.append(len(pieces))
        elif text in (r"\(", r"\)"):
            text = text[1]
        elif text.endswith(")") and open_at:
            open_at.pop()
        pieces.append(Piece(text, 1.0))
    return _joined(pieces)


def plain_text(prompt: str) -> str:
    """Return ``prompt`` as the model reads it, without the notation of weights."""
    return "".join(piece.text for piece in parse_weights(prompt))


def escaped(text: str) -> str:
    """Return a prompt that reads as ``text`` and has no weights, whatever ``text`` is; itself where it has none."""
    if not re.search(rf"{_WEIGHT}|\\[()]", text):
        return text
    return text.replace("(", r"\(").replace(")", r"\)")


def check_weights(*prompts: str | None) -> None:
    """Raise OptionError if one of ``prompts`` has a weight that is out of range."""
    for prompt in prompts:
        parse_weights(prompt or "")


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours of equal weight as one, and spaces where tokens would straddle two pieces."""
    runs = [
        Piece("".join(piece.text for piece in run), weight) for weight, run in groupby(pieces, lambda one: one.weight)
    ]
    joined: list[Piece] = []
    for piece in runs:
        touching = joined and piece.text and not joined[-1].text[-1].isspace() and not piece.text[0].isspace()
        if touching and joined[-1].text[-1].isalnum() == piece.text[0].isalnum():
            piece = Piece(" " + piece.text, piece.weight)
        joined.append(piece)
    return joined
