"""Kinds of values that options take on the command line, and in files as texts."""

from pathlib import Path
from typing import Any

import click

from pnpvideo.errors import OptionError


class Span(click.ParamType[Any]):
    """``A:B``, half-open, counted from 0; either side may be left out."""

    name = "A:B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        try:
            return parse_span(value)
        except OptionError as error:
            self.fail(str(error), param, ctx)


class Shares(click.ParamType[Any]):
    """``A:B``, two shares of the run; either side may be left out."""

    name = "A:B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        start, colon, stop = str(value).partition(":")
        try:
            if colon:
                return float(start or 0), float(stop or 1)
        except ValueError:
            pass
        self.fail(f"{value!r} is no span; accepted is A:B, two shares of the run, such as 0:0.8", param, ctx)


class Bytes(click.ParamType[Any]):
    """``8G``, ``500M``, ``2.5G``, or plain bytes; powers of 1,024."""

    name = "BYTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = str(value).strip().upper().removesuffix("B").removesuffix("I")
        unit = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(text[-1:], 1)
        try:
            return int(float(text.rstrip("KMGT")) * unit)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no size; accepted is a number with K, M, G or T, such as 8G", param, ctx)


class Direction(click.ParamType[Any]):
    """``FILE`` or ``FILE:STRENGTH``."""

    name = "FILE[:STRENGTH]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        file, colon, strength = str(value).rpartition(":")
        try:
            return (file, float(strength)) if colon and not Path(value).exists() else (str(value), 1.0)
        except ValueError:
            return str(value), 1.0  # the colon belongs to the file's name


def parse_span(text: str) -> tuple[int, int | None]:
    start, colon, stop = text.partition(":")
    if not colon or not all(side == "" or (side.isascii() and side.isdigit()) for side in (start, stop)):
        raise OptionError(f"frames is {text!r}; accepted is A:B, half-open and counted from 0, such as 0:25 or 10:")
    return int(start or "0"), int(stop) if stop else None
