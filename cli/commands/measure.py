"""pnpvideo measure: how good is a result, a recipe, a checkpoint?"""

import json
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pnpvideo.options import SOLVERS, SPACINGS, TranslateOptions
from pnpvideo.presets import PRESETS

from ..loudness import Loudness, hush_libraries, json_option, loudness_options
from ..render import MODES, rendering
from ..settings import Command, config_option, given, read_tables, recipe_settings, resolve, setting

JUDGE_HELP = "miniature, a folder or a hub id: a CLIP model (openai/clip-vit-large-patch14)"


class Task(click.ParamType[Any]):
    """``DRAWN:WANTED``, two styles of the world."""

    name = "DRAWN:WANTED"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        drawn, colon, wanted = str(value).partition(":")
        if not colon or not drawn or not wanted:
            self.fail(f"{value!r} is no task; accepted is DRAWN:WANTED, such as cartoon:photo", param, ctx)
        return drawn, wanted


def tell(measured: Any, output: Path | None, as_json: bool) -> None:
    """Print what was measured, and keep it in the folder."""
    click.echo(measured.json() if as_json else measured.markdown())
    if output is not None:
        (output / "table.md").write_text(measured.markdown() + "\n", encoding="utf-8")
        (output / "figures.json").write_text(measured.json() + "\n", encoding="utf-8")


def only(recipes: Mapping[str, Any], chosen: Collection[str]) -> dict[str, Any]:
    """Those of ``recipes`` whose names are ``chosen``; all where none is. BadParameter for a name that is none."""
    if unknown := [name for name in chosen if name not in recipes]:
        raise click.BadParameter(f"nothing is called {unknown[0]!r}; there are: {', '.join(recipes)}")
    return {name: recipe for name, recipe in recipes.items() if not chosen or name in chosen}


def benchmark_settings(usual: str) -> Callable[[Command], Command]:
    """The options of every benchmark of recipes; ``usual``: the recipes that it has where no file names others."""
    options = (
        click.option(
            "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder for table, JSON, pictures."
        ),
        click.option("--pixels", type=click.IntRange(64), default=256, show_default=True, help="Width and height."),
        click.option("--split", type=click.Choice(("held-out", "tuning")), default="held-out", show_default=True),
        click.option("--judge", default="miniature", show_default=True, help=f"Who judges: {JUDGE_HELP}."),
        click.option(
            "--recipes",
            "recipe_file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help=f"TOML file with a table of options for each recipe; without it, {usual}.",
        ),
        click.option("--recipe", "chosen", multiple=True, help="Only the recipe of this name; may be given again."),
        recipe_settings,
        config_option,
        json_option("Print the figures as one JSON object."),
        click.option("--progress", type=click.Choice(MODES), default="auto", envvar="PNPVIDEO_PROGRESS"),
        loudness_options,
    )

    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


@click.group(short_help="Measure a result, recipes or a checkpoint.")
def measure() -> None:
    """Measure a result, recipes or a checkpoint."""


@measure.command()
@click.option("--clips", type=click.IntRange(1), default=16, show_default=True, help="Clips for each task.")
@click.option("--length", type=click.IntRange(2), default=8, show_default=True, help="Frames of a clip.")
@click.option("--task", "tasks", type=Task(), multiple=True, help="From a style to a style; may be given again.")
@benchmark_settings(usual="pnp and sdedit")
@click.pass_context
def world(
    context: click.Context,
    output: Path | None,
    clips: int,
    length: int,
    pixels: int,
    tasks: tuple[tuple[str, str], ...],
    split: str,
    judge: str,
    recipe_file: Path | None,
    chosen: tuple[str, ...],
    config: Path | None,
    as_json: bool,
    progress: str,
    **_stated: Any,
) -> None:
    """Translate clips of the procedural world, where the truth is known, by several recipes, and measure them.

    Prints a table for each task, floors beside the recipes; --output keeps it with a JSON file, a Pareto plot and
    contact sheets, and lets an interrupted run go on.
    """
    loudness = context.ensure_object(Loudness)
    hush_libraries(loudness)
    base = TranslateOptions.from_mapping(resolve(given(context), config))
    from pnpvideo.measure.pareto import check_plots, plot
    from pnpvideo.measure.sheet import contact_sheet
    from pnpvideo.measure.world import RECIPES, WorldOptions, measure_world

    recipes = only(read_tables(recipe_file) if recipe_file else RECIPES, chosen)
    options = WorldOptions(
        clips=clips, frames=length, size=pixels, split=split, judge=judge, tasks=tasks or WorldOptions.tasks
    )
    if output is not None:
        check_plots()
        output.mkdir(parents=True, exist_ok=True)
    with rendering(progress, quiet=loudness.quiet, stream=sys.stderr) as report:
        journal = output / "journal.jsonl" if output is not None else None
        measured = measure_world(options, base, recipes, report, journal)
    tell(measured, output, as_json)
    if output is not None:
        plot(measured.rows, output / "pareto.png")
        for task, results in measured.examples.items():
            contact_sheet(results, 4, 192).save(output / f"{task.replace(' ', '-')}.png")


@measure.command()
@click.option("--pictures", type=click.IntRange(1), default=200, show_default=True, help="Pictures for each task.")
@click.option("--length", type=click.IntRange(1), default=1, show_default=True, help="Frames of each; of 1, stills.")
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="Such as 'ball to cube'; may be given again.")
@benchmark_settings(usual="pix2pix-zero, its parts off, and others")
@click.pass_context
def edits(
    context: click.Context,
    output: Path | None,
    pictures: int,
    length: int,
    pixels: int,
    tasks: tuple[str, ...],
    split: str,
    judge: str,
    recipe_file: Path | None,
    chosen: tuple[str, ...],
    config: Path | None,
    as_json: bool,
    progress: str,
    **_stated: Any,
) -> None:
    """Edit pictures of the procedural world, where it is known what should change and what should not, and measure it.

    Tasks: ball to cube, red to blue, cartoon to photo, day to sunset. No prompt is given: pictures are captioned.
    Prints a table for each task; --output keeps it with a JSON file and contact sheets, and lets an interrupted run go
    on.
    """
    loudness = context.ensure_object(Loudness)
    hush_libraries(loudness)
    base = TranslateOptions.from_mapping(resolve(given(context), config))
    from pnpvideo.measure.edits import CLIPS, STILLS, TASKS, EditsOptions, Recipe, measure_edits
    from pnpvideo.measure.sheet import contact_sheet

    usual = STILLS if length == 1 else CLIPS
    read = read_tables(recipe_file) if recipe_file else None
    recipes = only(usual if read is None else {name: Recipe.of(changes) for name, changes in read.items()}, chosen)
    wanted = list(only({task.name: task for task in TASKS}, tasks).values())
    options = EditsOptions(pictures=pictures, frames=length, size=pixels, split=split, judge=judge)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    with rendering(progress, quiet=loudness.quiet, stream=sys.stderr) as report:
        journal = output / "journal.jsonl" if output is not None else None
        measured = measure_edits(options, base, recipes, wanted, report, journal)
    tell(measured, output, as_json)
    if output is not None:
        for task, results in measured.examples.items():
            sheet = contact_sheet(results, 6, 160, "picture" if length == 1 else "frame")
            sheet.save(output / f"{task.replace(' ', '-')}.png")


@measure.command()
@click.option("--pictures", type=click.IntRange(1), default=16, show_default=True, help="Held-out pictures.")
@click.option(
    "--pixels", type=click.IntRange(64), default=256, show_default=True, help="Width and height of a picture."
)
@setting("model", "--model", metavar="MODEL", help="Alias or folder of a checkpoint of the world.")
@setting("preset", "--preset", type=click.Choice(tuple(PRESETS)), help="Steps, solver and spacing, where not said.")
@setting("steps", "--steps", type=int, help="Inversion steps.")
@setting("solver", "--solver", type=click.Choice(SOLVERS), help="Of second order, or DDIM.")
@setting("spacing", "--spacing", type=click.Choice(SPACINGS), help="Of the steps.")
@setting("inversion_rounds", "--inversion-rounds", type=int, metavar="N", help="Corrections of each step.")
@setting("device", "--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")
@json_option("Print the figures as one JSON object.")
@loudness_options
@click.pass_context
def inversion(context: click.Context, pictures: int, pixels: int, as_json: bool, **_stated: Any) -> None:
    """Measure the noise that pictures of the procedural world are inverted to, plain and regularised.

    White noise of the same size stands beside it.
    """
    hush_libraries(context.ensure_object(Loudness))
    base = TranslateOptions.from_mapping(resolve(given(context), None))
    from pnpvideo.measure.figures import finite, table
    from pnpvideo.measure.inversion import measure_inversion

    rows = measure_inversion(base, pictures, pixels)
    click.echo(json.dumps(finite(rows), indent=2, allow_nan=False) if as_json else table(rows))


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
@loudness_options
@click.pass_context
def clip(
    context: click.Context,
    source: Path,
    result: Path,
    prompt: str,
    source_prompt: str | None,
    judges: tuple[str, ...],
    device: str,
    as_json: bool,
) -> None:
    """Measure RESULT beside the SOURCE it was made from, without ground truth."""
    hush_libraries(context.ensure_object(Loudness))
    from pnpvideo.measure.clip import measure_clip
    from pnpvideo.measure.figures import finite

    found = asdict(measure_clip(source, result, prompt, source_prompt=source_prompt, judges=judges, device=device))
    if as_json:
        click.echo(json.dumps(finite({**found, "judges": judges}), indent=2, allow_nan=False))
        return
    width = max(map(len, found))
    for name, value in found.items():
        if value is not None:
            click.echo(f"{name:<{width}}  {value if isinstance(value, int) else format(value, '.4f')}")


@measure.command()
@click.option("--model", default="miniature", show_default=True, help="Alias or folder of a checkpoint of the world.")
@click.option("--quick", is_flag=True, help="Far fewer pictures: for a look.")
@json_option("Print one JSON object.")
@loudness_options
@click.pass_context
def model(context: click.Context, model: str, quick: bool, as_json: bool) -> None:
    """Examine a checkpoint of the procedural world on scenes that training never saw.

    Its autoencoder, its judge, its captioner, what it draws from words, and inversion and back.
    """
    hush_libraries(context.ensure_object(Loudness))
    from pnpvideo.measure.figures import finite
    from pnpvideo.measure.model import Exam, examine

    exam = Exam(pictures=2, judged=60, drawn=12, round_trips=1, round_trip_steps=(50,)) if quick else Exam()
    found = {}
    for what, figure, unit in examine(model, exam):
        found[what] = figure
        if not as_json:
            click.echo(f"{what}: {f'{100 * figure:.1f}%' if unit == 'share' else f'{figure:.2f} {unit}'}")
    if as_json:
        click.echo(json.dumps(finite(found), indent=2, allow_nan=False))
