"""pnpvideo bench: the cost of a translation on this machine, by recipe, and public benchmarks."""

from typing import Any

import click

from ..benchmark import clip_settings, run_on_clips
from ..verbosity import Verbosity, hush_libraries
from .bench_suites import SUITE_COMMANDS


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[BENCHMARK [ARGS]...]",
    short_help="Measure what a result costs on this machine, or run a public benchmark.",
)
@clip_settings(usual="the published recipes, and each preset", clips=1, length=16)
@click.pass_context
def bench(context: click.Context, **asked: Any) -> None:
    """Translate clips of the procedural world by several recipes, one after another in one process, and print what each
    takes: evaluations and seconds a frame, peak memory, how many times as fast as the published recipe, and how good
    the results are.

    The published recipes stand beside it as they were described, and take long: on two cores, the first some ten
    minutes for 16 frames, the last one longer. --output keeps the table with a JSON file, a plot and contact sheets,
    and lets an interrupted run go on.

    With the name of a public benchmark, that one is run instead, on your copy of its data, with the options behind its
    name.
    """
    if context.invoked_subcommand is not None:
        before = [
            name for name in asked if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        ]
        if before:
            flag = next(param.opts[0] for param in context.command.params if param.name == before[0])
            raise click.UsageError(
                f"{flag} stands before {context.invoked_subcommand!r}; give its options behind its name"
            )
        return
    hush_libraries(context.ensure_object(Verbosity))
    from pnpvideo.measure.pareto import plot_pareto
    from pnpvideo.measure.speed import OUR_RECIPES, PUBLISHED_RECIPES, measure_speed

    found = run_on_clips(context, asked, {**PUBLISHED_RECIPES, **OUR_RECIPES}, (("cartoon", "photo"),), measure_speed)
    if asked["output"] is not None:
        plot_pareto(found.rows, asked["output"] / "speed.png", against="seconds", axes=("match", "structure", "warp"))


for command in SUITE_COMMANDS:
    bench.add_command(command)
