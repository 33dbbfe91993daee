"""pnpvideo again: make a result once more from its sidecar."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from pnpvideo.events import Notice, Progress

from ..render import progress_option, rendering
from ..run import OUTPUT
from ..settings import SectionedCommand, given, settings
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options

UNEXPLAINED = "input, model, options, versions and machine are those of then"


@click.command(cls=SectionedCommand, short_help="Make a result again, and compare it with the first.")
@click.argument("path", metavar="SIDECAR", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OUTPUT, help="File or folder in which the new result is kept.")
@click.option("--input", "source", type=click.Path(path_type=Path), help="Path of the input, if it was moved.")
@settings(("device", "dtype", "batch", "memory", "store", "overwrite"))
@json_option("Print one JSON object: whether it is the same, its hash, and what differs.")
@progress_option
@verbosity_options
@click.pass_context
def again(
    context: click.Context, path: Path, output: str | None, source: Path | None, as_json: bool, **asked: Any
) -> None:
    """Make the result of SIDECAR again: the JSON file that translate and edit write beside their output.

    It says whether the result is the same bit for bit and, if not, what has changed: input, model, options, versions or
    machine. Exits with 1 if it is not the same. Without -o, nothing is kept. The store is used as in every run; with
    --store and an empty folder, everything is computed again.

    \b
    pnpvideo again out.mp4.json
    pnpvideo again out.mp4.json -o again.mp4
    """
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    with rendering(asked["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        from pnpvideo.batch import again as make_again

        made = make_again(path, output, input=source, values=given(context).values, report=report)
    if made.output is not None:
        report(Notice(message=f"wrote {made.output}"))
    if as_json:
        record = dataclasses.asdict(made) | {"output": None if made.output is None else str(made.output)}
        click.echo(json.dumps(record, indent=2))
    else:
        click.echo("the same bit for bit" if made.same else "not the same")
        for line in made.differences or ([] if made.same else [UNEXPLAINED]):
            click.echo(f"  {line}")
    context.exit(0 if made.same else 1)
