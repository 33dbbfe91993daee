"""pnpvideo bench: the cost of a translation on this machine, by recipe."""

from typing import Any

import click

from ..benchmark import on_world, world_settings
from ..verbosity import Verbosity, hush_libraries


@click.command(short_help="Measure what a result costs on this machine.")
@world_settings(usual="the published recipes, and each preset", clips=1, length=16)
@click.pass_context
def bench(context: click.Context, **asked: Any) -> None:
    """Translate clips of the procedural world by several recipes, one after another in one process, and print what each
    takes: evaluations and seconds a frame, peak memory, how many times as fast as the published recipe, and how good
    the results are.

    The published recipes stand beside it as they were described, and take long: on two cores, the first some ten
    minutes for 16 frames, the last one longer. --output keeps the table with a JSON file, a plot and contact sheets,
    and lets an interrupted run go on.
    """
    hush_libraries(context.ensure_object(Verbosity))
    from pnpvideo.measure.pareto import plot_pareto
    from pnpvideo.measure.speed import OUR_RECIPES, PUBLISHED_RECIPES, measure_speed

    found = on_world(context, asked, {**PUBLISHED_RECIPES, **OUR_RECIPES}, (("cartoon", "photo"),), measure_speed)
    if asked["output"] is not None:
        plot_pareto(found.rows, asked["output"] / "speed.png", against="seconds", axes=("match", "structure", "warp"))
