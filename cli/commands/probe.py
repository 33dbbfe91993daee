"""pnpvideo probe: show the properties of a file as pnpvideo reads it."""

import json
import sys
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from pnpvideo.early import check_input

from ..render import rendering
from ..verbosity import Verbosity, json_option, verbosity_options


@click.command(short_help="Say what would be read from a file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--allow-partial", is_flag=True, help="Count what can be read of a damaged FILE.")
@click.option("--track", type=click.IntRange(min=0), metavar="N", help="Video track of FILE, counted from 0.")
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def probe(context: click.Context, file: Path, allow_partial: bool, track: int | None, as_json: bool) -> None:
    """Say what would be read from FILE: frames, size, rate, sound, shots, and how many drawings differ."""
    check_input(file, track)
    from pnpvideo.errors import printable
    from pnpvideo.video.probe import probe as look

    quiet = context.ensure_object(Verbosity).quiet
    with rendering("none", quiet=quiet, stream=sys.stderr) as report:
        found = plain(look(file, track=track, allow_partial=allow_partial, report=report))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max(map(len, found))
    for name, value in found.items():
        text = json.dumps(value) if value not in ([], None) else "none"
        click.echo(f"{name:<{width}}  {printable(text)}")


def plain(value: Any) -> Any:
    """Convert for JSON: dataclasses to objects, fractions to numbers, paths to text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
