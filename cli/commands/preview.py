"""pnpvideo preview: a few frames of a clip by each cell of a grid of options."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnpvideo.early import check_input, check_options
from pnpvideo.events import Event, Notice, Progress

from ..render import progress_option, rendering
from ..settings import BY_TASK, SectionedCommand, config_option, setting, settings
from ..trials import Dialled, change_options, frame_options, stated_of
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options

if TYPE_CHECKING:
    from pnpvideo.explore.grid import Dial


@click.command(cls=SectionedCommand, short_help="Try several options on a few frames.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("prompt", required=False)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Sheet to write, such as s.png.")
@click.option(
    "--grid",
    "dials",
    type=Dialled(),
    multiple=True,
    help="An option, or prompt, and its values; prompts are separated by |. May be given twice.",
)
@frame_options
@change_options
@click.option(
    "--cells", type=click.Path(path_type=Path), help="Folder for each cell's frames as PNG, with its options as JSON."
)
@setting("preset", usual="draft")
@settings(without=("change", "preset", "generate", "preview_every", "preview_file", "sidecar"), usual=BY_TASK)
@config_option
@json_option("Print the cells as one JSON object.")
@progress_option
@verbosity_options
@click.pass_context
def preview(
    context: click.Context,
    source: Path,
    prompt: str | None,
    output: Path,
    config: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Translate a few frames of INPUT by every combination of the options in --grid, and draw them on one sheet.

    The source is inverted once. Beside the sheet, a JSON file of the same name keeps each cell's options: translate and
    edit take those of cell 7 with --pick sheet.png#7. With --from and --to, instead of PROMPT: an edit. The preset is
    draft unless --preset or --steps says otherwise.

    \b
    pnpvideo preview clip.mp4 "a photo of a ball" -o sheet.png --grid guidance=2,4,7.5 --grid attention-until=.3,.5,.8
    pnpvideo preview clip.mp4 -o prompts.png --grid "prompt=a photo of a ball|a sketch of a ball"
    pnpvideo preview clip.mp4 --from ball --to cube -o edit.png --grid method=pix2pix-zero,pnp --at 2.5s
    """
    from pnpvideo.explore.destination import check_cells_folder, check_sheet
    from pnpvideo.explore.grid import PROMPT, span_cells
    from pnpvideo.words.prompt_weights import check_weights

    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    dials: tuple[Dial, ...] = asked["dials"]
    words = next((dial.values[0] for dial in dials if dial.name == PROMPT), prompt)
    stated = stated_of(context, words, config)
    cells = span_cells(words, stated.values, dials)
    options = [cell.options() for cell in cells]
    check_input(source, options[0].reading.track)
    overwrite = bool(stated.values.get("overwrite"))
    check_sheet(output, source, overwrite)
    if asked["cells"] is not None:
        check_cells_folder(asked["cells"], overwrite)
    for cell, each in zip(cells, options, strict=True):
        check_weights(cell.prompt, each.prompts.negative, each.prompts.source_prompt)
        check_options(each)
    with rendering(asked["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        from pnpvideo.explore.previews import preview_cells
        from pnpvideo.explore.trial import Trials

        def listen(event: Event) -> None:
            verbosity.resumable = verbosity.resumable or (isinstance(event, Progress) and event.unit == "cell")
            report(event)

        trials = Trials(source, options[0], listen, frames=asked["at"] or asked["pictures"])
        found = preview_cells(trials, words, dials, cells)
        if asked["cells"] is not None:
            found.save_cells(asked["cells"], overwrite=overwrite)
        found.save(output, overwrite=overwrite)
    report(Notice(message=f"wrote {output} and {output.with_suffix('.json')}"))
    if as_json:
        click.echo(json.dumps(found.record, indent=2))
