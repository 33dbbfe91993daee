"""How much a command says: -q, -v, --json and --progress, the same on every command that has them."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(kw_only=True)
class Verbosity:
    """How much to print. Made before parsing, so that it applies even if parsing or the command fails."""

    quiet: bool = False
    verbose: bool = False
    resumable: bool = False
    """Whether an interrupted command has steps in the store from which the same command goes on."""
    json_errors: bool = False
    """Whether a program reads the events, and errors are events too."""


def asks_for_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for progress as JSON, also one that cannot be parsed."""
    asked = os.environ.get("PNPVIDEO_PROGRESS", "")
    for word, following in itertools.pairwise([*words, ""]):
        if word == "--":
            break
        if word == "--progress":
            asked = following
        elif word.startswith("--progress="):
            asked = word.partition("=")[2]
    return asked == "json"


def hush_libraries(verbosity: Verbosity) -> None:
    """Keep the model libraries, which are still to be imported, to their errors; a user's own choice stays."""
    if not verbosity.verbose:
        for variable in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
            os.environ.setdefault(variable, "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _note(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    verbosity = context.ensure_object(Verbosity)
    if parameter.name == "quiet":
        verbosity.quiet = verbosity.quiet or value
    else:
        verbosity.verbose = verbosity.verbose or value


def verbosity_options(command: Command) -> Command:
    """-q and -v; the command itself reads them from ``click.Context.obj``."""
    quiet = click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_note, help="Say only errors.")
    verbose = click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_note, help="Show where an error came from."
    )
    return quiet(verbose(command))


def json_option(help: str) -> Callable[[Command], Command]:
    return click.option("--json", "as_json", is_flag=True, help=help)
