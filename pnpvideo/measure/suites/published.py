"""Rows of published tables, to print beside ours."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedRow:
    """figures: measure -> figure, in the unit of the paper's column. source: paper, table and weights."""

    name: str
    figures: Mapping[str, float]
    source: str


def published_rows(
    figures: Mapping[str, tuple[float, ...]], measures: Iterable[str], source: str
) -> tuple[PublishedRow, ...]:
    """The rows of one table. figures: method -> figures in the order of ``measures``."""
    names = tuple(measures)
    return tuple(PublishedRow(name, dict(zip(names, row, strict=True)), source) for name, row in figures.items())
