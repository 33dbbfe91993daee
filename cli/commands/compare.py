"""pnpvideo compare: results beside their source, as a page or as one clip."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from pnpvideo.compare.options import ComparisonOptions
from pnpvideo.early import check_input
from pnpvideo.events import Notice

from ..render import progress_option, rendering
from ..settings import settings_of
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options


@click.command(short_help="Show results beside their source: a page, or one clip.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("results", metavar="RESULT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Page (.html) or clip to write.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="JSON",
    type=click.Path(path_type=Path),
    help="What `translate --json` printed, for each RESULT in order; without it, RESULT.json, if there is one.",
)
@settings_of(ComparisonOptions)
@json_option("Print one JSON object: the output, its size, and how many moments it has.")
@progress_option
@verbosity_options
@click.pass_context
def compare(
    context: click.Context, source: Path, results: tuple[Path, ...], output: Path, reports: tuple[Path, ...], **_: Any
) -> None:
    """Show each RESULT beside the SOURCE that it was made from.

    If the output's name ends in .html, it is one page that opens in any browser, without a server or network: it plays
    all clips in step, wipes between two of them, goes frame by frame, and shows warp error and flicker of each frame.
    Any other name is a clip, with the clips beside each other and the sound of SOURCE.

    \b
    pnpvideo compare clip.mp4 out.mp4 other.mp4 -o page.html
    pnpvideo compare clip.mp4 out.mp4 -o side.mp4
    """
    verbosity, asked = context.ensure_object(Verbosity), context.params
    hush_libraries(verbosity)
    options = ComparisonOptions(**{field.name: asked[field.name] for field in fields(ComparisonOptions)})
    from pnpvideo.compare.destination import check_output, is_page

    if reports and not is_page(output):
        raise click.UsageError("--report is for pages; give it with an output that ends in .html")
    if context.get_parameter_source("judge") == click.core.ParameterSource.COMMANDLINE and options.prompt is None:
        raise click.UsageError("--judge judges agreement with a prompt; give one with --prompt")
    for path in (source, *results):
        check_input(path)
    check_output(output, [source, *results], options)
    from pnpvideo.compare import write_page, write_side_by_side

    with rendering(asked["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        if is_page(output):
            made = write_page(source, results, output, options, run_reports=reports, report=report)
        else:
            made = write_side_by_side(source, results, output, options, report=report)
    report(Notice(message=f"wrote {output}"))
    if asked["as_json"]:
        click.echo(json.dumps({"output": str(made.output), "bytes": made.bytes, "moments": made.moments}, indent=2))
