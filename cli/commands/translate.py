"""pnpvideo translate: a clip and a prompt become a translated clip."""

from pathlib import Path
from typing import Any

import click

from pnpvideo.options import METHODS, TranslateOptions

from ..loudness import json_option, loudness_options
from ..render import progress_option
from ..run import run
from ..settings import clip_settings, config_option, given, recipe_settings, resolve, setting, store_option


@click.command(short_help="Translate a clip or a still with a prompt.")
@click.argument("words", nargs=-1, metavar="INPUT PROMPT")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File or folder to write.")
@setting("overwrite", "-y", "--overwrite", is_flag=True, help="Replace the output if it exists.")
@recipe_settings
@clip_settings
@setting("method", "--method", type=click.Choice(METHODS), help="How the input steers the result.")
@setting("strength", "--strength", type=float, help="Share of the steps that sdedit runs; 1: from pure noise.")
@setting("generate", "--generate", is_flag=True, help="Draw the guidance picture from the source prompt; no INPUT.")
@store_option
@config_option
@json_option("Print a report of the run on standard output, as one JSON object.")
@progress_option
@loudness_options
@click.pass_context
def translate(
    context: click.Context,
    words: tuple[str, ...],
    output: Path,
    config: Path | None,
    as_json: bool,
    progress: str,
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
    wanted = resolve(given(context), config)
    source, prompt = _source_and_prompt(words, bool(wanted.get("generate")))
    options = TranslateOptions.from_mapping(wanted)
    run(context, source, prompt, output, options, progress, as_json)


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
