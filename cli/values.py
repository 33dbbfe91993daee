"""Kinds of values that options take on the command line, and in files as texts."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from pnpvideo.errors import OptionError
from pnpvideo.video.span import Span as FrameSpan
from pnpvideo.video.span import TimeSpan


class Span(click.ParamType[Any]):
    """``A:B``, frame numbers or seconds, half-open; either side may be left out."""

    name = "A:B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple | TimeSpan):
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


_SPAN = re.compile(r"(?:(\d{1,18})|(\d{1,9}(?:\.\d{1,9})?)s)?:(?:(\d{1,18})|(\d{1,9}(?:\.\d{1,9})?)s)?", re.ASCII)


def parse_span(text: str) -> FrameSpan:
    """Read "10:25" or "10:" as frame numbers, "2.5s:4s" or "2.5s:" as times. Raises OptionError for anything else."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise OptionError(
            f"frames is {text!r}; accepted is A:B, half-open, in frames counted from 0, such as 0:25 or 10:, or in "
            "seconds, such as 2.5s:4s or 2.5s:"
        )
    first, first_seconds, last, last_seconds = match.groups()
    if (first and last_seconds) or (first_seconds and last):
        raise OptionError(f"frames is {text!r}, a mix of frames and seconds; give both in one unit, such as 10:40")
    if first_seconds or last_seconds:
        return TimeSpan(Fraction(first_seconds or 0), Fraction(last_seconds) if last_seconds else None)
    return int(first or 0), int(last) if last else None
