"""pnpvideo tune: find the options that suit a clip and a prompt."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from pnpvideo.events import Event, Notice, Progress

from ..benchmark import JUDGE_HELP
from ..early import check_input, check_options
from ..render import progress_option, rendering
from ..settings import EDITS_ONLY, SectionedCommand, config_option, given, resolve, setting, settings
from ..trials import frame_options
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options


@click.command(cls=SectionedCommand, short_help="Find the options that suit a clip and a prompt.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("prompt")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file to write, for --pick.")
@click.option("--plot", type=click.Path(path_type=Path), help="Picture of agreement against structure to write.")
@click.option("--trials", type=click.IntRange(1), default=12, show_default=True, help="Sets of options to try.")
@frame_options
@click.option("--judge", default="miniature", show_default=True, help=f"Who judges the words: {JUDGE_HELP}.")
@click.option("--max-structure", type=float, help="Highest structure distance; without it, that of the defaults.")
@click.option("--min-agreement", type=float, help="Instead: lowest agreement, at the lowest structure distance.")
@setting("preset", usual="draft")
@settings(without=(*EDITS_ONLY, "preset", "generate", "preview_every", "preview_file"))
@config_option
@json_option("Print what was tried as one JSON object.")
@progress_option
@verbosity_options
@click.pass_context
def tune(context: click.Context, source: Path, prompt: str, config: Path | None, as_json: bool, **asked: Any) -> None:
    """Find guidance and the thresholds of the method for INPUT and PROMPT: the best agreement with the prompt at no
    higher a structure distance to INPUT than the defaults have.

    A few frames are translated by --trials sets of options and judged by a CLIP model; the source is inverted once.
    Options that are set stay as they are. Prints what was tried, and the best as flags. translate takes the best from
    the JSON file: --pick tune.json.

    \b
    pnpvideo tune clip.mp4 "a photo of a ball" -o tune.json --plot tune.png
    pnpvideo tune clip.mp4 "a photo of a ball" --method sdedit --min-agreement 60
    """
    from pnpvideo.explore.cells import Cell
    from pnpvideo.explore.destination import check_plot, check_record
    from pnpvideo.explore.grid import with_draft
    from pnpvideo.words.prompt_weights import check_weights

    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    if asked["max_structure"] is not None and asked["min_agreement"] is not None:
        raise click.UsageError("give --max-structure or --min-agreement, not both")
    stated = resolve(given(context), config)
    overwrite = bool(stated.values.get("overwrite"))
    cell = Cell(prompt=prompt, values=with_draft(stated.values))
    options = cell.options()
    check_weights(prompt, options.prompts.negative, options.prompts.source_prompt)
    check_input(source, options.reading.track)
    if asked["output"] is not None:
        check_record(asked["output"], overwrite)
    if asked["plot"] is not None:
        check_plot(asked["plot"], source, overwrite)
    check_options(options)
    with rendering(asked["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        from pnpvideo.explore.trial import Trials
        from pnpvideo.explore.tuning import Search, tune_cell

        def listen(event: Event) -> None:
            verbosity.resumable = verbosity.resumable or (isinstance(event, Progress) and event.unit == "trial")
            report(event)

        search = Search(
            trials=asked["trials"],
            judge=asked["judge"],
            max_structure=asked["max_structure"],
            min_agreement=asked["min_agreement"],
        )
        trials = Trials(source, options, listen, frames=asked["at"] or asked["pictures"], stage="trial")
        found = tune_cell(trials, cell, search)
        if asked["output"] is not None:
            found.save(asked["output"], overwrite=overwrite)
        if asked["plot"] is not None:
            from pnpvideo.explore.plot import plot_tuning

            plot_tuning(found, asked["plot"], overwrite=overwrite)
    for path in (asked["output"], asked["plot"]):
        if path is not None:
            report(Notice(message=f"wrote {path}"))
    if as_json:
        click.echo(json.dumps(found.record, indent=2))
        return
    click.echo(found.table())
    click.echo(f"\nbest: trial {found.best + 1}, of {found.evaluations:,} evaluations in all\n{found.flags()}")
