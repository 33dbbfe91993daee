"""pnpvideo translate: a clip and a prompt become a translated clip."""

from pathlib import Path
from typing import Any

import click

from ..render import progress_option
from ..run import explain_option, run, student_option
from ..settings import EDITS_ONLY, SectionedCommand, config_option, given, resolve, settings
from ..verbosity import json_option, verbosity_options


@click.command(cls=SectionedCommand, short_help="Translate a clip or a still with a prompt.")
@click.argument("words", nargs=-1, metavar="INPUT PROMPT")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File or folder to write.  [required]")
@settings(without=EDITS_ONLY)
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
    output: Path | None,
    config: Path | None,
    **_stated: Any,
) -> None:
    """Translate INPUT, a clip or a still, into what PROMPT says, keeping shapes, places and motion.

    INPUT is a video, a GIF, an APNG, a WebP, a picture or a folder of frames. With --generate there is no INPUT:
    the guidance picture is drawn from --source-prompt. Put -- before an INPUT whose name begins with a dash.

    Options come from flags, else from PNPVIDEO_* variables, else from the file given with --config, else from
    pnpvideo.toml in this folder, else from config.toml in the user's configuration folder.

    \b
    pnpvideo translate clip.mp4 "a photo of a red ball on grass at sunset" -o out.mp4
    pnpvideo translate --generate "a photo of a cube" --source-prompt "a cartoon of a cube" -o out.png
    """
    stated = resolve(given(context), config)
    source, prompt = _source_and_prompt(words, bool(stated.values.get("generate")))
    run(context, source, prompt, output, stated)


def _source_and_prompt(words: tuple[str, ...], generate: bool) -> tuple[Path | None, str]:
    if generate:
        if len(words) != 1:
            raise click.UsageError(f"with --generate, give PROMPT and no INPUT; {len(words)} arguments were given")
        return None, words[0]
    if len(words) != 2:
        raise click.UsageError(
            f"give INPUT and PROMPT, and put a prompt of several words in quotes; {len(words)} arguments were given"
        )
    return Path(words[0]), words[1]
