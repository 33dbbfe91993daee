"""The options -q, -v, --offline and --json, the same on every command that has them."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import click

OFFLINE = "HF_HUB_OFFLINE"

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(kw_only=True)
class Verbosity:
    """State shared by a command and the code that reports how it ended; exists before the command line is parsed.

    resumable: whether the store has steps from which the same command resumes after an interruption.
    json_errors: whether errors are printed as JSON events, for a program that reads them.
    """

    quiet: bool = False
    verbose: bool = False
    resumable: bool = False
    json_errors: bool = False


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
    """Limit transformers, diffusers and the hub to errors, unless -v or the user's environment say otherwise.

    Call it before they are imported.
    """
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


def _stay_offline(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Set the variable that the hub's client reads when it is imported, for this command and what it starts."""
    if value:
        context.call_on_close(partial(_restore, os.environ.get(OFFLINE)))
        os.environ[OFFLINE] = "1"


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop(OFFLINE, None)
    else:
        os.environ[OFFLINE] = before


def verbosity_options(command: Command) -> Command:
    """Add -q and -v, which set the Verbosity in ``click.Context.obj``, and --offline."""
    quiet = click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_note, help="Show errors only.")
    verbose = click.option(
        "-v", "--verbose", is_flag=True, expose_value=False, callback=_note, help="Show where an error came from."
    )
    offline = click.option(
        "--offline",
        is_flag=True,
        is_eager=True,
        envvar="PNPVIDEO_OFFLINE",
        expose_value=False,
        callback=_stay_offline,
        help="Use no network, only models that are on this machine.",
    )
    return quiet(verbose(offline(command)))


def json_option(help: str) -> Callable[[Command], Command]:
    """Add --json, as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=help)
