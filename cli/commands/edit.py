"""pnpvideo edit: change one thing into another, with no prompt written."""

from pathlib import Path
from typing import Any

import click

from pnpvideo.options import TranslateOptions

from ..loudness import json_option, loudness_options
from ..render import progress_option
from ..run import run
from ..settings import (
    EDITED_BY,
    change_of,
    clip_settings,
    config_option,
    given,
    read_file,
    recipe_settings,
    resolve,
    setting,
    store_option,
)

METHODS = (EDITED_BY, "pnp")


@click.command(short_help="Change one thing into another, with no prompt.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File or folder to write.")
@click.option("--from", "before", metavar="CONCEPT", help="What is there: ball, red, cartoon, at night.")
@click.option("--to", "after", metavar="CONCEPT", help="What it becomes: cube, blue, photo, at sunset.")
@setting("change_strength", "--change-strength", type=float, help="How far it goes; above 1, beyond.")
@setting("overwrite", "-y", "--overwrite", is_flag=True, help="Replace the output if it exists.")
@recipe_settings
@clip_settings
@setting("method", "--method", type=click.Choice(METHODS), usual=EDITED_BY, envvar=None, help="How the rest is kept.")
@store_option
@config_option
@json_option("Print a report of the run on standard output, as one JSON object.")
@progress_option
@loudness_options
@click.pass_context
def edit(
    context: click.Context,
    source: Path,
    output: Path,
    before: str | None,
    after: str | None,
    config: Path | None,
    as_json: bool,
    progress: str,
    **_stated: Any,
) -> None:
    """Change what --from names into what --to names in INPUT, a clip or a still, and keep the rest.

    The direction between the two is found in the space of text embeddings; INPUT is captioned, so no prompt is needed.
    A direction of your own (see 'pnpvideo direction') comes in with --direction FILE:STRENGTH, as often as you like.

    \b
    pnpvideo edit clip.mp4 --from ball --to cube -o out.mp4
    pnpvideo edit photo.png --direction ball2cube.safetensors:1.2 -o out.png
    """
    stated = given(context)
    own = read_file(config).get("method") if config else None  # the method of other files is translate's
    wanted = {**resolve(stated, config), "method": stated.get("method", own if own in METHODS else EDITED_BY)}
    if change := change_of(before, after):
        wanted["change"] = change
    elif not wanted.get("directions") and not wanted.get("change"):
        raise click.UsageError("give --from and --to, or a --direction")
    options = TranslateOptions.from_mapping(wanted)
    run(context, source, None, output, options, progress, as_json)
