"""pnpvideo distill: teach a small network what a translation does."""

import sys
from pathlib import Path
from typing import Any

import click

from pnpvideo.early import check_options
from pnpvideo.events import Notice, Progress

from ..render import progress_option, rendering
from ..settings import BY_TASK, EDITS_ONLY, SectionedCommand, config_option, given, resolve, settings
from ..verbosity import Verbosity, hush_libraries, verbosity_options
from .edit import edit_options


@click.command(cls=SectionedCommand, short_help="Teach a small, fast network what a translation does.")
@click.argument("inputs", metavar="INPUTS", type=click.Path(path_type=Path))
@click.argument("prompt", metavar="[PROMPT]", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the student.")
@click.option("--from", "before", metavar="CONCEPT", help="Instead of PROMPT: what is there.")
@click.option("--to", "after", metavar="CONCEPT", help="Instead of PROMPT: what it becomes.")
@click.option(
    "--pairs", type=click.IntRange(2), default=400, show_default=True, help="Pictures that the teacher makes."
)
@click.option("--per-clip", type=click.IntRange(1), default=4, show_default=True, help="Frames taken of each clip.")
@click.option("--train-steps", type=click.IntRange(1), default=8000, show_default=True, help="Steps of training.")
@click.option("--network", type=click.Choice(["small", "large"]), default="small", show_default=True, help="Its size.")
@click.option("--least-gain", type=float, default=0.0, show_default=True, help="Text agreement a pair must gain.")
@click.option("--least-overlap", type=click.FloatRange(0, 1), help="With --thing: overlap of its masks in a pair.")
@click.option("--thing", metavar="WORD", help="What keeps its place, as a word of the caption.")
@click.option("--judge", default="miniature", show_default=True, metavar="MODEL", help="CLIP model: folder or hub id.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder of pairs and training.  [default: OUTPUT-work]")
@settings(without=(*EDITS_ONLY, "generate", "frames", "mask", "keep_background"), usual=BY_TASK)
@config_option
@progress_option
@verbosity_options
@click.pass_context
def distill(
    context: click.Context,
    inputs: Path,
    prompt: str | None,
    output: Path,
    config: Path | None,
    **_stated: Any,
) -> None:
    """Teach a small network what translating the pictures and clips in INPUTS does, to translate others in real time.

    The model translates --pairs pictures, with the options of translate or, with --from and --to, of edit; pairs that
    do not agree more with the text than before are left out; the network learns the rest. A run that was stopped goes
    on where it was.

    \b
    pnpvideo distill cartoons/ --from cartoon --to photo --method pnp -o cartoon2photo
    pnpvideo apply cartoon2photo clip.mp4 -o out.mp4
    """
    asked = context.params
    before, after = asked["before"], asked["after"]
    if (prompt is None) == (before is None and after is None):
        raise click.UsageError("give either PROMPT, or --from and --to")
    if asked["least_overlap"] is not None and asked["thing"] is None:
        raise click.UsageError("--least-overlap is of the masks of a thing; name it with --thing")
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    stated = resolve(given(context), config) if prompt is not None else edit_options(context, before, after, config)
    options = stated.options()
    check_options(options)
    from pnpvideo.video.destination import check_folder

    for folder in (output.parent, asked["work"] or output.parent):
        check_folder(folder)
    with rendering(asked["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        from pnpvideo.student.distill import Distillation
        from pnpvideo.student.distill import distill as distilled
        from pnpvideo.student.network import shape_called
        from pnpvideo.student.pairs import Filter
        from pnpvideo.student.train import Recipe

        how = Distillation(
            pairs=asked["pairs"],
            per_clip=asked["per_clip"],
            filter=Filter(least_gain=asked["least_gain"], least_overlap=asked["least_overlap"]),
            thing=asked["thing"],
            recipe=Recipe(shape=shape_called(asked["network"]), steps=asked["train_steps"], seed=options.sampling.seed),
            judge=asked["judge"],
        )
        student = distilled(inputs, prompt, output, options, how, work=asked["work"], report=report)
    report(Notice(message=f"wrote {output}"))
    for name, value in student.card.figures.items():
        click.echo(f"{name:<22}{value}")
