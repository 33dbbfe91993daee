"""One run of the engine, as every command that makes a result has it: events shown, the report printed."""

import json
import sys
from pathlib import Path

import click

from pnpvideo.events import Event, Notice, Progress
from pnpvideo.options import TranslateOptions

from .loudness import Loudness, hush_libraries
from .render import rendering


def run(
    context: click.Context,
    source: Path | None,
    prompt: str | None,
    output: Path,
    options: TranslateOptions,
    progress: str,
    as_json: bool,
) -> None:
    """Translate ``source`` into ``output``; ``prompt`` None: as the options say without one."""
    loudness = context.ensure_object(Loudness)
    hush_libraries(loudness)
    from pnpvideo.translate import translate

    with rendering(progress, quiet=loudness.quiet, stream=sys.stderr) as report:

        def listen(event: Event) -> None:
            loudness.kept = loudness.kept or (isinstance(event, Progress) and event.unit == "step")
            report(event)

        result = translate(source, prompt, output, options, report=listen)
        report(Notice(message=f"wrote {result.output}"))
    if as_json:
        click.echo(json.dumps({"output": str(result.output), **result.report}, indent=2))
