"""Run a translation for a command: show its events, print its report."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnpvideo.early import check_run
from pnpvideo.events import Event, Notice, Progress, Report

from .render import rendering
from .settings import Stated
from .verbosity import Verbosity, hush_libraries

if TYPE_CHECKING:
    from pnpvideo.explore.picks import Pick
    from pnpvideo.settings.options import Options

OUTPUT = click.Path(readable=False)
"""An output as it was typed: a slash at its end says that it is a folder, which a Path would lose."""
explain_option = click.option(
    "--explain", is_flag=True, help="Print the value of every option and who set it, and do nothing else."
)
output_option = click.option("-o", "--output", type=OUTPUT, help="File or folder to write.  [required]")
student_option = click.option(
    "--student",
    is_flag=True,
    help="Translate keyframes only; a small network learns them and does the other frames. For long clips.",
)


def run(
    context: click.Context,
    source: Path | None,
    prompt: str | None,
    output: str | None,
    stated: Stated,
    picked: "Pick | None" = None,
) -> None:
    """Translate ``source`` into ``output``, or with --explain print the options only.

    prompt: None for an edit, which the options state. output: as it was typed. picked: the cell of --pick.
    """
    verbosity, as_json = context.ensure_object(Verbosity), bool(context.params["as_json"])
    options = stated.options()
    hush_libraries(verbosity)
    if context.params["explain"]:
        with rendering(context.params["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
            lines = explain(options, as_json, report)
        click.echo(lines)
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    if context.params["student"] and source is None:
        raise click.UsageError("--student translates a clip; --generate has none")
    check_run(source, prompt, output, options)
    with rendering(context.params["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        if picked is not None and source is not None and (message := picked.difference(source)):
            report(Notice(message=message))
        from pnpvideo.pipeline import translate

        def listen(event: Event) -> None:
            resumable = isinstance(event, Progress) and event.unit in ("step", "byte") and event.done > 0
            verbosity.resumable = verbosity.resumable or resumable
            report(event)

        if context.params["student"] and source is not None:
            from pnpvideo.student.clip import translate_clip

            result = translate_clip(source, prompt, output, options, report=listen)
        else:
            result = translate(source, prompt, output, options, report=listen)
    report(Notice(message=f"wrote {result.output}"))  # below the bars
    if as_json:
        click.echo(json.dumps({"output": str(result.output), **result.report}, indent=2))


def explain(options: "Options", as_json: bool, report: Report) -> str:
    """A table, or a JSON object, of every option of a run with its value and who set it."""
    from pnpvideo.backends.checkpoint import describe
    from pnpvideo.option import plain
    from pnpvideo.settings.effective import effective
    from pnpvideo.settings.models import resolve

    changes = options.customization
    model = describe(resolve(options.model), report, changes.prediction, changes.few_step)
    resolved = effective(options, model)
    values: dict[str, Any] = plain(resolved.flat())
    rows = {name: {"value": value, "set by": resolved.origins.get(name, "default")} for name, value in values.items()}
    if as_json:
        return json.dumps(rows, indent=2)
    shown = {name: "-" if row["value"] is None else str(row["value"]) for name, row in rows.items()}
    first, second = max(map(len, rows)), min(40, max(map(len, shown.values())))
    return "\n".join(f"{name:<{first}}  {shown[name]:<{second}}  {row['set by']}" for name, row in rows.items())
