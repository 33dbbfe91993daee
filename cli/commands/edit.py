"""pnpvideo edit: change one concept into another, without a prompt."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnpvideo.methods.registry import EDITS, USUAL_EDIT

from ..pick import pick_option, read_pick, under
from ..render import progress_option
from ..run import explain_option, output_option, run, student_option
from ..settings import SectionedCommand, Stated, change_of, config_option, given, read_file, resolve, setting, settings
from ..verbosity import json_option, verbosity_options

if TYPE_CHECKING:
    from pnpvideo.explore.picks import Pick


@click.command(cls=SectionedCommand, short_help="Change one thing into another, with no prompt.")
@click.argument("source", metavar="INPUT", required=False, type=click.Path(path_type=Path))
@output_option
@click.option("--from", "before", metavar="CONCEPT", help="What is there: ball, red, cartoon, at night.")
@click.option("--to", "after", metavar="CONCEPT", help="What it becomes: cube, blue, photo, at sunset.")
@setting("method", type=click.Choice(EDITS), envvar=None, help=f"How the rest is kept.  [default: {USUAL_EDIT}]")
@settings(without=("change", "method", "generate"))
@pick_option
@config_option
@student_option
@explain_option
@json_option("Print a report of the run on standard output, as one JSON object.")
@progress_option
@verbosity_options
@click.pass_context
def edit(
    context: click.Context,
    source: Path | None,
    output: str | None,
    picked: str | None,
    config: Path | None,
    **asked: Any,
) -> None:
    """Change what --from names into what --to names in INPUT, a clip or a still, and keep the rest.

    The direction between the two is found in the space of text embeddings; INPUT is captioned, so no prompt is needed.
    A direction of your own (see 'pnpvideo direction') comes in with --direction FILE:STRENGTH, as often as you like.
    With --pick, what is left out of INPUT, --from and --to is that of the cell.

    \b
    pnpvideo edit clip.mp4 --from ball --to cube -o out.mp4
    pnpvideo edit photo.png --direction ball2cube.safetensors:1.2 -o out.png
    """
    cell = read_pick(picked)
    if cell is not None and cell.prompt is not None:
        raise click.UsageError(f"{picked} has a prompt, {cell.prompt!r}; use: pnpvideo translate --pick {picked}")
    if source is None:
        if cell is None:
            raise click.UsageError("Missing argument 'INPUT'.")
        source = cell.input
    options = edit_options(context, asked["before"], asked["after"], config, cell)
    run(context, source, None, output, options, cell)


def edit_options(
    context: click.Context, before: str | None, after: str | None, config: Path | None, cell: "Pick | None" = None
) -> Stated:
    """The options of an edit, merged from flags, a picked ``cell`` and files.

    Its method comes from the flag, else from the cell, else from --config if ``edit`` offers that method, else it is
    USUAL_EDIT; the method of pnpvideo.toml and of the user's file is for ``translate``. Raises UsageError without a
    change or direction.
    """
    flags = under(given(context), cell)
    stated = resolve(flags, config)
    in_config = read_file(config).get("method") if config else None
    method = flags.values.get("method", in_config if in_config in EDITS else USUAL_EDIT)
    origin = stated.origins.get("method", "default") if "method" in flags.values or in_config in EDITS else "default"
    values: dict[str, Any] = {"method": method}
    origins = {"method": origin}
    if change := change_of(before, after):
        values["change"], origins["change"] = change, "flag"
    elif not stated.values.get("directions") and not stated.values.get("change"):
        raise click.UsageError("give --from and --to, or a --direction")
    return Stated(values, origins).over(stated)
