"""What the commands that measure recipes share: their options, what they print and what they keep."""

import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from .loudness import Loudness, json_option, loudness_options
from .render import progress_option, rendering
from .settings import RECIPE, Command, config_option, given, read_tables, resolve, settings

JUDGE_HELP = "miniature, a folder or a hub id: a CLIP model (openai/clip-vit-large-patch14)"


class Task(click.ParamType[Any]):
    """``DRAWN:WANTED``, two styles of the world."""

    name = "DRAWN:WANTED"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        drawn, colon, wanted = str(value).partition(":")
        if not colon or not drawn or not wanted:
            self.fail(f"{value!r} is no task; accepted is DRAWN:WANTED, such as cartoon:photo", param, ctx)
        return drawn, wanted


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
        click.option(
            "--split",
            type=click.Choice(("held-out", "tuning")),
            default="held-out",
            show_default=True,
            help="Scenes to report on, or to choose settings by.",
        ),
        click.option("--judge", default="miniature", show_default=True, help=f"Who judges: {JUDGE_HELP}."),
        click.option(
            "--recipes",
            "recipe_file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help=f"TOML file with a table of options for each recipe; without it, {usual}.",
        ),
        click.option("--recipe", "chosen", multiple=True, help="Only the recipe of this name; may be given again."),
        settings(RECIPE),
        config_option,
        json_option("Print the figures as one JSON object."),
        progress_option,
        loudness_options,
    )

    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def world_settings(usual: str, clips: int, length: int) -> Callable[[Command], Command]:
    """The options of a benchmark on clips of the world; clips, length: how many and how long where nothing is said."""
    options = (
        click.option("--clips", type=click.IntRange(1), default=clips, show_default=True, help="Clips for each task."),
        click.option("--length", type=click.IntRange(2), default=length, show_default=True, help="Frames of a clip."),
        click.option(
            "--task", "tasks", type=Task(), multiple=True, help="From a style to a style; may be given again."
        ),
        benchmark_settings(usual),
    )

    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def on_world(
    context: click.Context,
    asked: Mapping[str, Any],
    recipes: Mapping[str, Any],
    tasks: tuple[tuple[str, str], ...],
    benchmark: Callable[..., Any],
) -> Any:
    """What ``benchmark`` measures as ``asked`` by the options of world_settings; ``recipes``, ``tasks``: where none are
    named."""
    base = resolve(given(context), asked["config"]).options()
    from pnpvideo.measure.pareto import check_plots
    from pnpvideo.measure.world import WorldOptions

    read = read_tables(asked["recipe_file"]) if asked["recipe_file"] else recipes
    options = WorldOptions(
        clips=asked["clips"],
        frames=asked["length"],
        size=asked["pixels"],
        split=asked["split"],
        judge=asked["judge"],
        tasks=asked["tasks"] or tasks,
    )
    if asked["output"] is not None:
        check_plots()
    return told(context, asked, partial(benchmark, options, base, only(read, asked["chosen"])), columns=4, width=192)


def told(
    context: click.Context,
    asked: Mapping[str, Any],
    measured: Callable[..., Any],
    columns: int,
    width: int,
    noun: str = "frame",
) -> Any:
    """What ``measured`` finds, given whom to report to and the journal; printed, and kept with a contact sheet a task,
    of so many columns, so wide, where a folder is asked for."""
    from pnpvideo.measure.sheet import contact_sheet
    from pnpvideo.publish import published, write_file

    output: Path | None = asked["output"]
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    with rendering(asked["progress"], quiet=context.ensure_object(Loudness).quiet, stream=sys.stderr) as report:
        found = measured(report, output / "journal.jsonl" if output is not None else None)
    click.echo(found.json() if asked["as_json"] else found.markdown())
    if output is not None:
        write_file(output / "table.md", f"{found.markdown()}\n".encode())
        write_file(output / "figures.json", f"{found.json()}\n".encode())
        for task, results in found.examples.items():
            with published(output / f"{task.replace(' ', '-')}.png") as path:
                contact_sheet(results, columns, width, noun).save(path)
    return found
