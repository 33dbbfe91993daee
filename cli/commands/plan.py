"""pnpvideo plan: estimate what a translation will take before it starts."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pnpvideo.early import check_input, check_options
from pnpvideo.events import Progress

from ..render import progress_option, rendering, spoken
from ..settings import BY_TASK, SectionedCommand, config_option, given, resolve, settings
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options
from .edit import edit_options


@click.command(cls=SectionedCommand, short_help="Estimate time, memory and disk of a translation.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("--from", "before", metavar="CONCEPT", help="Of an edit: what is there.")
@click.option("--to", "after", metavar="CONCEPT", help="Of an edit: what it becomes.")
@settings(
    without=(
        *("change", "overwrite", "generate", "store", "store_limit"),
        *("preview_every", "preview_file", "preview_vae", "sidecar"),
    ),
    usual=BY_TASK,
)
@config_option
@json_option("Print one JSON object.")
@progress_option
@verbosity_options
@click.pass_context
def plan(
    context: click.Context,
    source: Path,
    before: str | None,
    after: str | None,
    config: Path | None,
    as_json: bool,
    **_stated: Any,
) -> None:
    """Estimate what translating INPUT takes on this machine: shots, drawings, network evaluations, time, memory and
    disk. Takes the options of translate that change this, and reads INPUT once. With --from and --to: of edit.

    \b
    pnpvideo plan clip.mp4 --preset best
    pnpvideo plan clip.mp4 --model sd15 --memory 8G
    pnpvideo plan clip.mp4 --from ball --to cube --keep-background
    """
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    of_edit = before is not None or after is not None
    stated = edit_options(context, before, after, config) if of_edit else resolve(given(context), config)
    options = stated.options()
    check_input(source, options.reading.track)
    check_options(options)
    with rendering(context.params["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        from pnpvideo.engine.plan import plan as planned

        found = planned(source, options, report=report)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
        return
    lines = {
        "input": f"{found.frames} frames, {found.drawings} drawings, {found.shots} shots, {found.windows} windows",
        "work": f"{found.steps} steps at {found.width} x {found.height}, {found.evaluations:,} network evaluations",
        "time": f"about {spoken(found.seconds)}, with {found.batch} frames a network call in {found.dtype} on "
        f"{found.device}",
        "memory": f"about {found.memory_bytes / 2**30:.1f} GiB for the model and its calls",
        "disk": f"{found.disk_bytes / 2**20:,.0f} MiB in the store",
    }
    for name, line in lines.items():
        click.echo(f"{name:<8}{line}")
