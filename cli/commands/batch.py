"""pnpvideo batch: many translations from one jobs file."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnpvideo.errors import BatchError, printable
from pnpvideo.events import Notice, Progress
from pnpvideo.methods.registry import USUAL, USUAL_EDIT

from ..render import progress_option, rendering
from ..settings import SectionedCommand, Stated, config_option, given, resolve, settings
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options

if TYPE_CHECKING:
    from pnpvideo.batch.runner import BatchReport
    from pnpvideo.batch.work import Engine, Outcome


@click.command(cls=SectionedCommand, short_help="Translate many clips from one file of rows.")
@click.argument("jobs", metavar="JOBS", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check every row, print what would be done, and do nothing.")
@click.option("--journal", type=click.Path(path_type=Path), help="The journal; without it, JOBS.journal.jsonl.")
@click.option("--anywhere", is_flag=True, help="Let the paths in JOBS leave its folder.")
@click.option(
    "--engine",
    type=click.Choice(("process", "ray")),
    default="process",
    show_default=True,
    help="What runs the rows: this process, or the workers of a Ray cluster.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="With --engine ray: the cluster's head; without it, RAY_ADDRESS or a new one.",
)
@settings(without=("change", "generate", "preview_file"), usual={"method": f"{USUAL}; with from and to: {USUAL_EDIT}"})
@config_option
@json_option("Print the report as one JSON object.")
@progress_option
@verbosity_options
@click.pass_context
def batch(
    context: click.Context,
    jobs: Path,
    dry_run: bool,
    anywhere: bool,
    config: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Translate every row of JOBS, a TOML, YAML, JSONL or CSV file: input, prompt (or from and to), output and options.

    Everything is checked before any work begins. Then each row is translated; one that fails does not stop the others,
    and the command exits with 7 and says which failed. A journal beside JOBS records what is done, so that the
    same command continues after an interruption and does only what is left.

    Flags and PNPVIDEO_* variables override the rows, rows override JOBS' defaults, and those override the files of
    options that translate reads.

    \b
    pnpvideo batch jobs.toml --dry-run
    pnpvideo batch jobs.toml
    pnpvideo batch jobs.toml --engine ray --address 10.0.0.1:6379
    """
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    if asked["address"] is not None and asked["engine"] != "ray":
        raise click.UsageError("--address names a Ray cluster; say --engine ray too")
    stated, files = given(context), resolve(Stated(), config)
    with rendering(asked["progress"], quiet=verbosity.quiet, stream=sys.stderr) as report:
        report(Progress(stage="load", done=0, total=1, unit="libraries"))
        from pnpvideo.batch.rows import Common
        from pnpvideo.batch.runner import run

        verbosity.resumable = not dry_run
        common = Common(under=files.values, over=stated.values, origins=stated.over(files).origins)
        found = run(
            jobs,
            common=common,
            journal=asked["journal"],
            anywhere=anywhere,
            dry_run=dry_run,
            engine=_engine(asked["engine"], asked["address"]),
            report=report,
        )
    click.echo(json.dumps(found.record(), indent=2) if as_json else _table(found))
    if found.failed:
        places = ", ".join(_who(outcome) for outcome in found.failed)
        raise BatchError(f"{len(found.failed)} of {len(found.outcomes)} rows failed: {places}")
    if not dry_run:
        report(Notice(message=f"all {len(found.outcomes)} rows are done"))


def _engine(name: str, address: str | None) -> "Engine":
    """Raises OptionError for a cluster without Ray."""
    from pnpvideo.batch.work import OneProcess

    if name == "process":
        return OneProcess()
    from pnpvideo.batch.ray_cluster import RayCluster
    from pnpvideo.batch.ray_session import check_address

    check_address(address)
    return RayCluster(address)


def _table(found: "BatchReport") -> str:
    """One line a row: where it stands, what became of it, its output, and why it failed."""
    lines = [
        (_who(outcome), outcome.state, f"{outcome.seconds:.1f} s" if outcome.seconds else "", _what(outcome))
        for outcome in found.outcomes
    ]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    return "\n".join(
        f"{place:<{widths[0]}}  {state:<{widths[1]}}  {seconds:>{widths[2]}}  {what}".rstrip()
        for place, state, seconds, what in lines
    )


def _who(outcome: "Outcome") -> str:
    return outcome.place + ("" if outcome.input is None else f" ({printable(Path(outcome.input).name)})")


def _what(outcome: "Outcome") -> str:
    here, output = Path.cwd(), Path(outcome.output).absolute()
    shown = printable(str(output.relative_to(here) if output.is_relative_to(here) else output))
    return f"{shown}: {printable(outcome.error)}" if outcome.error else shown
