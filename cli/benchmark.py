"""Options and output of the commands that measure recipes."""

import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from .render import progress_option, rendering
from .settings import RECIPE, Command, config_option, given, read_tables, resolve, settings, together
from .verbosity import Verbosity, json_option, verbosity_options

JUDGE_HELP = "miniature, a folder or a hub id: a CLIP model (openai/clip-vit-large-patch14)"


class Task(click.ParamType[Any]):
    """``DRAWN:WANTED``, the styles of the source and of the result, such as ``cartoon:photo``."""

    name = "DRAWN:WANTED"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        drawn, colon, wanted = str(value).partition(":")
        if not colon or not drawn or not wanted:
            self.fail(f"{value!r} is no task; accepted is DRAWN:WANTED, such as cartoon:photo", param, ctx)
        return drawn, wanted


def only(recipes: Mapping[str, Any], chosen: Collection[str]) -> dict[str, Any]:
    """Filter ``recipes`` by name; all if none is chosen. Raises BadParameter for an unknown name."""
    if unknown := [name for name in chosen if name not in recipes]:
        raise click.BadParameter(f"nothing is called {unknown[0]!r}; there are: {', '.join(recipes)}")
    return {name: recipe for name, recipe in recipes.items() if not chosen or name in chosen}


def recipe_options(usual: str) -> Callable[[Command], Command]:
    """Add --recipes and --recipe. usual: the recipes if no file gives others, as shown in the help."""
    return together(
        click.option(
            "--recipes",
            "recipe_file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help=f"TOML file with a table of options for each recipe; without it, {usual}.",
        ),
        click.option("--recipe", "chosen", multiple=True, help="Only the recipe of this name; may be given again."),
    )


def benchmark_settings(usual: str) -> Callable[[Command], Command]:
    """Add the options of every benchmark. usual: its recipes if no file gives others, as shown in the help."""
    return together(
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
        recipe_options(usual),
        settings(RECIPE),
        config_option,
        json_option("Print the figures as one JSON object."),
        progress_option,
        verbosity_options,
    )


def clip_settings(usual: str, clips: int, length: int, shortest: int = 2) -> Callable[[Command], Command]:
    """Add the options of a benchmark on clips whose translation is known. clips, length: defaults; shortest: length."""
    return together(
        click.option("--clips", type=click.IntRange(1), default=clips, show_default=True, help="Clips for each task."),
        click.option(
            "--length", type=click.IntRange(shortest), default=length, show_default=True, help="Frames of a clip."
        ),
        click.option(
            "--task", "tasks", type=Task(), multiple=True, help="From a style to a style; may be given again."
        ),
        benchmark_settings(usual),
    )


def run_on_clips(
    context: click.Context,
    asked: Mapping[str, Any],
    recipes: Mapping[str, Any],
    tasks: tuple[tuple[str, str], ...],
    benchmark: Callable[..., Any],
    kind: Callable[..., Any] | None = None,
) -> Any:
    """Run ``benchmark`` on clips whose translation is known, and return its results.

    asked: values of the options of ``clip_settings``. recipes, tasks: the defaults. kind: of the benchmark's options;
    None: WorldOptions.
    """
    base = resolve(given(context), asked["config"]).options()
    from pnpvideo.measure.pareto import check_plots
    from pnpvideo.measure.world import WorldOptions

    available = read_tables(asked["recipe_file"]) if asked["recipe_file"] else recipes
    options = (kind or WorldOptions)(
        clips=asked["clips"],
        frames=asked["length"],
        size=asked["pixels"],
        split=asked["split"],
        judge=asked["judge"],
        tasks=asked["tasks"] or tasks,
    )
    if asked["output"] is not None:
        check_plots()
    measure = partial(benchmark, options, base, only(available, asked["chosen"]))
    return run_benchmark(context, asked, measure, columns=4, width=192)


def run_benchmark(
    context: click.Context,
    asked: Mapping[str, Any],
    measure: Callable[..., Any],
    columns: int,
    width: int,
    noun: str = "frame",
) -> Any:
    """Run a benchmark, print its results and return them; with --output, also write them and contact sheets there.

    measure: called with a reporter of progress and the path of the journal (None without --output). columns, width: of
    the contact sheets, in pictures and in pixels per picture. noun: what a sheet calls one picture.
    """
    from pnpvideo.measure.sheet import contact_sheet
    from pnpvideo.publish import published, write_file
    from pnpvideo.video.destination import make_folder

    output: Path | None = asked["output"]
    if output is not None:
        make_folder(output)
    with rendering(asked["progress"], quiet=context.ensure_object(Verbosity).quiet, stream=sys.stderr) as report:
        results = measure(report, output / "journal.jsonl" if output is not None else None)
    click.echo(results.json() if asked["as_json"] else results.markdown())
    if output is not None:
        write_file(output / "table.md", f"{results.markdown()}\n".encode())
        write_file(output / "figures.json", f"{results.json()}\n".encode())
        for task, examples in results.examples.items():
            with published(output / f"{task.replace(' ', '-')}.png") as path:
                contact_sheet(examples, columns, width, noun).save(path)
    return results
