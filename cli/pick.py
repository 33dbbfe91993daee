"""The option --pick: the options of a cell that a preview or a search has tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .settings import Command, Stated

if TYPE_CHECKING:
    from pnpvideo.explore.picks import Pick


def pick_option(command: Command) -> Command:
    """Add --pick, as the parameter ``picked``."""
    option: Callable[[Command], Command] = click.option(
        "--pick",
        "picked",
        metavar="SHEET#N",
        help="Take the options of cell N of a preview, such as sheet.png#7, or the best of tune, tune.json.",
    )
    return option(command)


def read_pick(name: str | None) -> Pick | None:
    """The cell that --pick names; None without it. Raises InputError and OptionError."""
    if name is None:
        return None
    from pnpvideo.explore.picks import pick

    return pick(name)


def under(flags: Stated, picked: Pick | None) -> Stated:
    """Flags and variables over the options of a picked cell. Whether an output is replaced, no cell decides."""
    if picked is None:
        return flags
    values: dict[str, Any] = {name: value for name, value in picked.values.items() if name != "overwrite"}
    return flags.over(Stated(values, picked.origins))


def words_of(words: tuple[str, ...], picked: Pick | None) -> tuple[Path, str | None]:
    """INPUT and PROMPT of a command line; what it leaves out is the cell's. prompt: None for an edit."""
    if picked is None and len(words) != 2:
        raise click.UsageError(
            f"give INPUT and PROMPT, and put a prompt of several words in quotes; {len(words)} arguments were given"
        )
    if len(words) > 2:
        raise click.UsageError(f"give INPUT and PROMPT at most; {len(words)} arguments were given")
    if picked is None:
        return Path(words[0]), words[1]
    return Path(words[0]) if words else picked.input, words[1] if len(words) > 1 else picked.prompt
