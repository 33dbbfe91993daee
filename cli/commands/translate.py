"""pnpvideo translate: a clip and a prompt become a translated clip."""

from pathlib import Path
from typing import Any

import click

from ..pick import pick_option, read_pick, under, words_of
from ..render import progress_option
from ..run import explain_option, output_option, run, student_option
from ..settings import EDITS_ONLY, SectionedCommand, config_option, given, resolve, settings
from ..verbosity import json_option, verbosity_options


@click.command(cls=SectionedCommand, short_help="Translate a clip or a still with a prompt.")
@click.argument("words", nargs=-1, metavar="INPUT PROMPT")
@output_option
@settings(without=EDITS_ONLY)
@pick_option
@config_option
@student_option
@explain_option
@json_option("Print a report of the run on standard output, as one JSON object.")
@progress_option
@verbosity_options
@click.pass_context
def translate(
    context: click.Context,
    words: tuple[str, ...],
    output: str | None,
    picked: str | None,
    config: Path | None,
    **_stated: Any,
) -> None:
    """Translate INPUT, a clip or a still, into what PROMPT says, keeping shapes, places and motion.

    INPUT is a video, a GIF, an APNG, a WebP, a picture or a folder of frames. With --generate there is no INPUT:
    the guidance picture is drawn from --source-prompt. Put -- before an INPUT whose name begins with a dash.

    Options come from flags, else from PNPVIDEO_* variables, else from the cell that --pick names, else from the file
    given with --config, else from pnpvideo.toml in this folder, else from config.toml in the user's configuration
    folder. With --pick, PROMPT may be left out, and INPUT too: they are then the cell's.

    \b
    pnpvideo translate clip.mp4 "a photo of a red ball on grass at sunset" -o out.mp4
    pnpvideo translate clip.mp4 --pick sheet.png#7 -o out.mp4
    pnpvideo translate --generate "a photo of a cube" --source-prompt "a cartoon of a cube" -o out.png
    """
    cell = read_pick(picked)
    stated = resolve(under(given(context), cell), config)
    if stated.values.get("generate") and cell is None:
        if len(words) != 1:
            raise click.UsageError(f"with --generate, give PROMPT and no INPUT; {len(words)} arguments were given")
        run(context, None, words[0], output, stated)
        return
    source, prompt = words_of(words, cell)
    run(context, source, prompt, output, stated, cell)
