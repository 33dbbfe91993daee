"""Dials: options with several values each, parsed from text, and the grid of cells that they span."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pnpvideo import kinds
from pnpvideo.errors import OptionError
from pnpvideo.explore.cells import Cell
from pnpvideo.option import flag_of
from pnpvideo.settings.options import KNOWN, Reading

PROMPT = "prompt"
MOST_DIALS = 2
COMMANDS_OWN = ("overwrite", "preview_every", "preview_file", "sidecar")
"""Options about the files of one command, which no cell keeps."""
FIXED = (*(field.name for field in fields(Reading)), "generate", "store", "store_limit", *COMMANDS_OWN)
"""Options that are the same for all cells: what is read, and where things are kept."""
DRAFT = "draft"


@dataclass(frozen=True)
class Dial:
    """An option (or PROMPT) and the values that it takes in turn. texts: the values as a sheet shows them."""

    name: str
    values: tuple[Any, ...]
    texts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Dial:
        """Parse ``NAME=VALUE,VALUE``; values of texts, such as prompts, are separated by ``|``. Raises OptionError."""
        name, equals, listed = text.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        name = next(
            (known for known, spec in KNOWN.items() if f"--{name.replace('_', '-')}" in flag_of(known, spec)), name
        )
        if not equals:
            raise OptionError(f"grid is {text!r}; accepted is NAME=VALUE,VALUE, such as guidance=2,4,7.5")
        kind = _kind(name)
        texts = [
            each.strip()
            for each in listed.split(
                "|" if isinstance(kind, kinds.Text | kinds.Concepts) and not isinstance(kind, kinds.Model) else ","
            )
        ]
        return cls.of(name, [each if kind is None else kind.parse(name, each) for each in texts], texts)

    @classmethod
    def of(cls, name: str, values: Sequence[Any], texts: Sequence[str] | None = None) -> Dial:
        """Check the values. texts: as a sheet shows them; None: as Python does. Raises OptionError."""
        kind = _kind(name)
        values = [(value,) if isinstance(kind, kinds.Several) and texts else value for value in values]
        texts = [str(value) for value in values] if texts is None else texts
        if not values or len(set(texts)) < len(texts):
            raise OptionError(f"the values of {name} are {', '.join(texts) or 'none'}; give one or more, each once")
        for value in values:
            (kind or kinds.Text()).check(name, value)
        return cls(name, tuple(values), tuple(texts))


def _kind(name: str) -> kinds.Kind:
    if name == PROMPT:
        return kinds.Text()
    if name in KNOWN and name not in FIXED:
        return KNOWN[name].kind
    if name in FIXED:
        raise OptionError(f"{name} is no dial: it is the same for all cells of a preview; give it as an option")
    dials = [PROMPT, *(known for known in KNOWN if known not in FIXED)]
    raise OptionError(f"there is no option {name!r}; dials are: {', '.join(dials)}")


def span_cells(prompt: str | None, values: Mapping[str, Any], dials: Sequence[Dial]) -> list[Cell]:
    """The cells of all combinations, the first dial changing fastest; without dials, one cell.

    values: the options that all cells share, by flat name. Where neither they nor a dial set preset or steps, the
    preset is "draft". Raises OptionError for more than two dials, for one that comes twice, and for values that do not
    go together.
    """
    names = [dial.name for dial in dials]
    if len(dials) > MOST_DIALS or len(set(names)) < len(names):
        raise OptionError(f"the grid is over {', '.join(names)}; accepted are up to {MOST_DIALS} different dials")
    shared = with_draft(values, names)
    cells = []
    indices = itertools.product(*(range(len(dial.values)) for dial in reversed(dials)))
    for number, reverse in enumerate(indices, 1):
        chosen = list(zip(dials, reversed(reverse), strict=True))
        changes = {dial.name: dial.values[index] for dial, index in chosen}
        words = changes.pop(PROMPT, prompt)
        texts = {dial.name: dial.texts[index] for dial, index in chosen}
        cell = Cell(number=number, prompt=words, values={**shared, **changes}, dials=texts)
        cell.options()
        cells.append(cell)
    return cells


def with_draft(values: Mapping[str, Any], dials: Sequence[str] = ()) -> dict[str, Any]:
    """The options with the preset "draft", unless they or a dial set preset or steps; without COMMANDS_OWN."""
    shared = {name: value for name, value in values.items() if name not in COMMANDS_OWN}
    if {"preset", "steps"} & {*values, *dials}:
        return shared
    return {**shared, "preset": DRAFT}
