"""pnpvideo bench: what a result costs on this machine."""

import sys
from pathlib import Path
from typing import Any

import click

from pnpvideo.options import TranslateOptions

from ..loudness import Loudness, hush_libraries
from ..render import rendering
from ..settings import given, read_tables, resolve
from .measure import Task, benchmark_settings, only, tell


@click.command(short_help="Measure what a result costs on this machine.")
@click.option("--clips", type=click.IntRange(1), default=1, show_default=True, help="Clips for each task.")
@click.option("--length", type=click.IntRange(2), default=16, show_default=True, help="Frames of a clip.")
@click.option("--task", "tasks", type=Task(), multiple=True, help="From a style to a style; may be given again.")
@benchmark_settings(usual="the published recipes, and each preset")
@click.pass_context
def bench(
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
    """Translate clips of the procedural world by several recipes, one after another in one process, and print what each
    takes: evaluations and seconds a frame, peak memory, how many times as fast as the published recipe, and how good
    the results are.

    The published recipes stand beside it as they were described, and take long: on two cores, the first about a
    quarter of an hour for 16 frames. --output keeps the table with a JSON file, a plot and contact sheets, and lets an
    interrupted run go on.
    """
    loudness = context.ensure_object(Loudness)
    hush_libraries(loudness)
    base = TranslateOptions.from_mapping(resolve(given(context), config))
    from pnpvideo.measure.pareto import check_plots, plot
    from pnpvideo.measure.sheet import contact_sheet
    from pnpvideo.measure.speed import OURS, PLAIN, measure_speed
    from pnpvideo.measure.world import WorldOptions

    recipes = only(read_tables(recipe_file) if recipe_file else {**PLAIN, **OURS}, chosen)
    options = WorldOptions(
        clips=clips,
        frames=length,
        size=pixels,
        split=split,
        judge=judge,
        tasks=tasks or (("cartoon", "photo"),),
    )
    if output is not None:
        check_plots()
        output.mkdir(parents=True, exist_ok=True)
    with rendering(progress, quiet=loudness.quiet, stream=sys.stderr) as report:
        journal = output / "journal.jsonl" if output is not None else None
        measured = measure_speed(options, base, recipes, report, journal)
    tell(measured, output, as_json)
    if output is not None:
        plot(measured.rows, output / "speed.png", against="seconds", axes=("match", "structure", "warp"))
        for task, results in measured.examples.items():
            contact_sheet(results, 4, 192).save(output / f"{task.replace(' ', '-')}.png")
