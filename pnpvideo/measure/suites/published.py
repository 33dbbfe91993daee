"""Rows of published tables, to print beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedRow:
    """figures: measure -> figure, in the unit of the paper's column. source: paper, table and weights."""

    name: str
    figures: Mapping[str, float]
    source: str
