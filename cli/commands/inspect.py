"""pnpvideo inspect: pictures of the inside of the network."""

from pathlib import Path
from typing import Any

import click

from ..inspection import Numbers, Request, at_option, finish, inspect_options, inspecting, usual, view_of
from ..settings import BY_TASK, SectionedCommand, given, resolve, settings
from .edit import edit_options

EDITING = (
    *("method", "guidance", "negative", "feature_until", "attention_until", "fresh_noise", "inversion_depth"),
    *("directions", "change_strength", "placement"),
)
"""The options of an edit whose result ``inspect words`` shows."""


@click.group(short_help="Look inside the network: features, attention, words, flow.")
def inspect() -> None:
    """Pictures of the inside of the network, of any checkpoint, made of the very tensors that edits see."""


@inspect.command(cls=SectionedCommand)
@inspect_options(timesteps="800,540,260,100", pictures="3 of one input, 1 of each of several", layers="all")
@at_option
@click.pass_context
def features(context: click.Context, config: Path | None, raw: Path | None, tile: int, **_stated: Any) -> None:
    """Show the features of each layer as colours: the same colour is the same kind of feature, in every picture.

    All pictures share one principal component analysis for each layer and noise level; its three leading components are
    red, green and blue (figure 3 of Plug-and-Play).

    \b
    pnpvideo inspect features horse.jpg dog.jpg cat.jpg -o features.png
    pnpvideo inspect features clip.mp4 --layers 4,7,10 --timesteps 540 -o features.png
    """
    options = resolve(given(context), config).options()
    request = Request.of(context, options)
    with inspecting(context) as report:
        from pnpvideo.inspect import features as look

        found = look(request.inputs, options, view_of(context), keep=raw is not None, report=report)
        finish(context, request, found, found.sheet(tile), report)


@inspect.command(cls=SectionedCommand)
@inspect_options(timesteps="800,540,260,100", pictures="3 of one input, 1 of each of several", layers="all")
@at_option
@usual("--query", type=Numbers(float, 2), metavar="X,Y", help="Show where this point looks; shares of the picture.")
@click.pass_context
def attention(
    context: click.Context,
    config: Path | None,
    raw: Path | None,
    tile: int,
    query: tuple[float, float] | None,
    **_stated: Any,
) -> None:
    """Show the self-attention of each layer as colours: places of one colour look at the same places.

    Every picture has a principal component analysis of its own, since a picture's attention is about its own places.
    With --query: how much one point of the picture attends to every other.

    \b
    pnpvideo inspect attention horse.jpg -o attention.png
    pnpvideo inspect attention horse.jpg --query 0.5,0.4 -o query.png
    """
    options = resolve(given(context), config).options()
    request = Request.of(context, options)
    with inspecting(context) as report:
        from pnpvideo.inspect import attention as look

        found = look(request.inputs, options, view_of(context), query=query, keep=raw is not None, report=report)
        finish(context, request, found, found.sheet(tile), report)


@inspect.command(cls=SectionedCommand)
@inspect_options(timesteps="every step", pictures="3 of one input, 1 of each of several", layers="all", part="all")
@at_option
@usual("--prompt", metavar="TEXT", help="Translate too, and show the maps of the result.")
@usual("--from", "before", metavar="CONCEPT", help="Edit too, and show the maps of the result: what is there.")
@usual("--to", "after", metavar="CONCEPT", help="What it becomes.")
@usual("--by-step", is_flag=True, help="A row for each noise level instead of their mean.")
@usual("--cells", type=click.IntRange(1), default=16, show_default=True, help="Short side of the maps, about.")
@settings(EDITING, usual=BY_TASK)
@click.pass_context
def words(
    context: click.Context,
    config: Path | None,
    tile: int,
    prompt: str | None,
    by_step: bool,
    cells: int,
    **asked: Any,
) -> None:
    """Show where the network looks for each word of the source prompt (figure 4 of pix2pix-zero).

    The source prompt is --source-prompt, or a caption. With --prompt, --from and --to or --direction, the pictures are
    translated as well, and the words' maps of the result stand below those of the source.

    \b
    pnpvideo inspect words horse.jpg --source-prompt "a photo of a horse" -o words.png
    pnpvideo inspect words clip.mp4 --from ball --to cube -o edit.png
    """
    before, after, flags = asked["before"], asked["after"], given(context)
    editing = before is not None or after is not None or (prompt is None and "directions" in flags.values)
    options = (edit_options(context, before, after, config) if editing else resolve(flags, config)).options()
    request = Request.of(context, options)
    with inspecting(context) as report:
        from pnpvideo.inspect import words as look

        view = view_of(context, timesteps=())
        found = look(request.inputs, options, view, prompt=prompt, cells=cells, report=report)
        finish(context, request, found, found.sheet(tile, by_step), report)


@inspect.command(cls=SectionedCommand)
@inspect_options(timesteps="260", pictures="9", layers="the last of each resolution")
@click.pass_context
def flow(context: click.Context, config: Path | None, tile: int, **_stated: Any) -> None:
    """Show which token of a keyframe each token of the frames between copies, beside optical flow.

    INPUT is one clip. Its first frames are taken (see --pictures and --frames), up to a cut; the first and the last of
    them are the keyframes.

    \b
    pnpvideo inspect flow clip.mp4 -o flow.png
    pnpvideo inspect flow clip.mp4 --frames 40: --pictures 13 --layers 6,7,8 -o flow.png
    """
    options = resolve(given(context), config).options()
    request = Request.of(context, options)
    with inspecting(context) as report:
        from pnpvideo.inspect import flow as look

        found = look(request.inputs, options, view_of(context, timesteps=(260.0,)), report=report)
        finish(context, request, found, found.sheet(tile), report)
