"""The names of the drawings (CLDR short names), some of which are held out of all training.

``names.csv`` was fixed before any training. It lists animals, plants, food, buildings, vehicles, weather, toys, clothes
and tools, nearly all with the same outline in flat and 3d; no flags, symbols, letters or people.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Name:
    """One drawing. text: its name in captions. slug: its key in the vector packages. code: its file name in 3d."""

    text: str
    slug: str
    code: str
    held_out: bool


@lru_cache(maxsize=1)
def all_names() -> tuple[Name, ...]:
    """Every name, in the order of the file."""
    with open(Path(__file__).with_name("names.csv"), encoding="utf-8", newline="") as rows:
        return tuple(
            Name(row["name"], row["slug"], row["code"], row["split"] == "held-out") for row in csv.DictReader(rows)
        )


def training_names() -> tuple[Name, ...]:
    return tuple(name for name in all_names() if not name.held_out)


def held_out_names() -> tuple[Name, ...]:
    return tuple(name for name in all_names() if name.held_out)
