"""pnpvideo measure: the quality of a result, of recipes or of a checkpoint."""

import json
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import click

from ..benchmark import JUDGE_HELP, benchmark_settings, clip_settings, only, run_benchmark, run_on_clips
from ..settings import given, read_tables, resolve, settings
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options


@click.group(short_help="Measure a result, recipes or a checkpoint.")
def measure() -> None:
    """Measure a result, recipes or a checkpoint."""


@measure.command()
@clip_settings(usual="pnp, sdedit and flowedit", clips=16, length=8)
@click.pass_context
def world(context: click.Context, **asked: Any) -> None:
    """Translate clips of the procedural world, where the truth is known, by several recipes, and measure them.

    Prints a table for each task, with baselines beside the recipes. --output keeps it with a JSON file, a Pareto plot
    and contact sheets, and lets an interrupted run resume.
    """
    hush_libraries(context.ensure_object(Verbosity))
    from pnpvideo.measure.pareto import plot_pareto
    from pnpvideo.measure.world import RECIPES, WorldOptions, measure_world

    found = run_on_clips(context, asked, RECIPES, WorldOptions.tasks, measure_world)
    if asked["output"] is not None:
        plot_pareto(found.rows, asked["output"] / "pareto.png")


@measure.command()
@click.argument("packages", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@clip_settings(usual="pnp, sdedit and flowedit", clips=50, length=1, shortest=1)
@click.pass_context
def art(context: click.Context, packages: Path, **asked: Any) -> None:
    """Translate drawings by artists, which exist in several looks, from one look to another, and measure the results.

    DIR keeps their packages, Microsoft's Fluent emoji; npm downloads missing ones. Looks: flat, gradient, 3d. The names
    are held out of all training. A clip of one frame is a still.
    """
    hush_libraries(context.ensure_object(Verbosity))
    from pnpvideo.measure.art import ArtOptions, measure_art
    from pnpvideo.measure.world import RECIPES
    from pnpvideo.miniature.art.sprites import Sprites

    run_on_clips(context, asked, RECIPES, ArtOptions.tasks, partial(measure_art, Sprites(packages)), ArtOptions)


@measure.command()
@click.option("--pictures", type=click.IntRange(1), default=200, show_default=True, help="Pictures for each task.")
@click.option("--length", type=click.IntRange(1), default=1, show_default=True, help="Frames of each; of 1, stills.")
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="Such as 'ball to cube'; may be given again.")
@benchmark_settings(usual="pix2pix-zero, its parts off, and others")
@click.pass_context
def edits(context: click.Context, **asked: Any) -> None:
    """Edit pictures of the procedural world, where it is known what should change and what should not, and measure it.

    Tasks: ball to cube, red to blue, cartoon to photo, day to sunset. No prompt is given: pictures are captioned.
    Prints a table for each task; --output keeps it with a JSON file and contact sheets, and lets an interrupted run go
    on.
    """
    hush_libraries(context.ensure_object(Verbosity))
    base = resolve(given(context), asked["config"]).options()
    from pnpvideo.measure.edit_tasks import CLIPS, STILLS, TASKS, EditRecipe
    from pnpvideo.measure.edits import EditsOptions, measure_edits

    still = asked["length"] == 1
    available = STILLS if still else CLIPS
    if asked["recipe_file"]:
        available = {name: EditRecipe.of(changes) for name, changes in read_tables(asked["recipe_file"]).items()}
    recipes = only(available, asked["chosen"])
    wanted = list(only({task.name: task for task in TASKS}, asked["tasks"]).values())
    options = EditsOptions(
        pictures=asked["pictures"],
        frames=asked["length"],
        size=asked["pixels"],
        split=asked["split"],
        judge=asked["judge"],
    )
    run_benchmark(
        context,
        asked,
        partial(measure_edits, options, base, recipes, wanted),
        columns=6,
        width=160,
        noun="picture" if still else "frame",
    )


@measure.command()
@click.option("--pictures", type=click.IntRange(1), default=16, show_default=True, help="Held-out pictures.")
@click.option(
    "--pixels", type=click.IntRange(64), default=256, show_default=True, help="Width and height of a picture."
)
@settings(("model", "preset", "steps", "solver", "spacing", "inversion_rounds", "device"))
@json_option("Print the figures as one JSON object.")
@verbosity_options
@click.pass_context
def inversion(context: click.Context, pictures: int, pixels: int, as_json: bool, **_stated: Any) -> None:
    """Measure the noise that pictures of the procedural world are inverted to, plain and regularised.

    White noise of the same size stands beside it.
    """
    hush_libraries(context.ensure_object(Verbosity))
    base = resolve(given(context), None).options()
    from pnpvideo.measure.figures import replace_nonfinite, table
    from pnpvideo.measure.inversion import measure_inversion

    rows = measure_inversion(base, pictures, pixels)
    click.echo(json.dumps(replace_nonfinite(rows), indent=2, allow_nan=False) if as_json else table(rows))


@measure.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--prompt", required=True, metavar="TEXT", help="What the result should show.")
@click.option("--source-prompt", metavar="TEXT", help="What the source shows: adds the share of frames that changed.")
@click.option(
    "--judge",
    "judges",
    multiple=True,
    default=("miniature",),
    show_default=True,
    help=f"Who judges: {JUDGE_HELP}; given again, a ViT for structure (facebook/dino-vitb8).",
)
@click.option("--device", default="cpu", show_default=True, help="Where the judges run.")
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def clip(
    context: click.Context,
    source: Path,
    result: Path,
    prompt: str,
    judges: tuple[str, ...],
    as_json: bool,
    **asked: Any,
) -> None:
    """Measure RESULT beside the SOURCE it was made from, without ground truth."""
    hush_libraries(context.ensure_object(Verbosity))
    from pnpvideo.measure.clip import measure_clip
    from pnpvideo.measure.figures import replace_nonfinite

    found = asdict(
        measure_clip(
            source, result, prompt, source_prompt=asked["source_prompt"], judges=judges, device=asked["device"]
        )
    )
    if as_json:
        click.echo(json.dumps(replace_nonfinite({**found, "judges": judges}), indent=2, allow_nan=False))
        return
    width = max(map(len, found))
    for name, value in found.items():
        if value is not None:
            click.echo(f"{name:<{width}}  {value if isinstance(value, int) else format(value, '.4f')}")


@measure.command()
@click.option("--model", default="miniature", show_default=True, help="Alias or folder of a checkpoint of the world.")
@click.option("--quick", is_flag=True, help="Far fewer pictures, for a rough look.")
@click.option(
    "--drawings",
    type=click.Path(file_okay=False, path_type=Path),
    help="On drawings by artists too; their packages are in this folder, where npm downloads missing ones.",
)
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def model(context: click.Context, model: str, quick: bool, drawings: Path | None, as_json: bool) -> None:
    """Examine a checkpoint of the procedural world on scenes that training never saw.

    Its autoencoder, its judge, its captioner, what it draws from prompts, and round trips of inversion and sampling.
    """
    hush_libraries(context.ensure_object(Verbosity))
    from pnpvideo.measure.figures import replace_nonfinite
    from pnpvideo.measure.model import Exam, examine

    exam = Exam(pictures=2, judge_pictures=60, samples=12, round_trips=1, round_trip_steps=(50,)) if quick else Exam()
    rows = examine(model, exam)
    if drawings is not None:
        from pnpvideo.measure.drawings import examine_drawings
        from pnpvideo.miniature.art.sprites import Sprites

        rows = chain(rows, examine_drawings(model, Sprites(drawings), exam))
    found = {}
    for what, figure, unit in rows:
        found[what] = figure
        if not as_json:
            click.echo(f"{what}: {f'{100 * figure:.1f}%' if unit == 'share' else f'{figure:.2f} {unit}'}")
    if as_json:
        click.echo(json.dumps(replace_nonfinite(found), indent=2, allow_nan=False))
