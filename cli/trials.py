"""Options of the commands that try sets of options on a few frames of a clip."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from pnpvideo.errors import OptionError

from .commands.edit import edit_options
from .settings import Command, Stated, given, resolve, together


class Place(click.ParamType[Any]):
    """``12``, a frame's number, or ``2.5s``, a time: an int, or a Fraction of seconds."""

    name = "FRAME|TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if re.fullmatch(r"\d{1,9}", value, re.ASCII):
            return int(value)
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", value, re.ASCII):
            return Fraction(value[:-1])
        self.fail(
            f"{value!r} is no place; accepted is a frame's number, such as 12, or a time, such as 2.5s", param, ctx
        )


class Dialled(click.ParamType[Any]):
    """``NAME=VALUE,VALUE``: a Dial."""

    name = "NAME=A,B,C"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from pnpvideo.explore.grid import Dial

        try:
            return Dial.parse(value) if isinstance(value, str) else value
        except OptionError as error:
            self.fail(str(error), param, ctx)


def change_options(command: Command) -> Command:
    """Add --from and --to, which make the trials those of an edit."""
    before = click.option("--from", "before", metavar="CONCEPT", help="Of an edit: what is there.")
    after = click.option("--to", "after", metavar="CONCEPT", help="Of an edit: what it becomes.")
    return before(after(command))


def frame_options(command: Command) -> Command:
    """Add --pictures and --at."""
    add = together(
        click.option(
            "--pictures",
            type=click.IntRange(1, 64),
            default=3,
            show_default=True,
            help="Frames to try, spread over the shots.",
        ),
        click.option(
            "--at", type=Place(), multiple=True, help="Try this frame instead: a number, or 2.5s; may be given again."
        ),
    )
    return add(command)


def stated_of(context: click.Context, prompt: str | None, config: Path | None) -> Stated:
    """The options of a translation, or of an edit if the command has --from and --to, or no prompt but a direction."""
    before, after = context.params["before"], context.params["after"]
    stated = resolve(given(context), config)
    if prompt is not None and (before is not None or after is not None):
        raise click.UsageError("give a prompt, or --from and --to, not both")
    if prompt is None:
        return edit_options(context, before, after, config)
    return stated
