"""pnpvideo doctor: check whether this machine can translate, and say how to repair what is missing."""

import json
import sys
from dataclasses import asdict

import click

from ..render import progress_option, rendering
from ..settings import given, resolve, setting
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options


@click.command(short_help="Check that this machine can translate, and that a model loads.")
@click.argument("model", required=False)
@setting("device")
@setting("dtype")
@setting("lora")
@setting("vae")
@setting("store")
@json_option("Print one JSON object.")
@progress_option
@verbosity_options
@click.pass_context
def doctor(context: click.Context, model: str | None, as_json: bool, progress: str, **_stated: object) -> None:
    """Check Python, PyTorch and its devices, ffmpeg, the shipped model and the store.

    With MODEL (an alias, folder, single file or hub id), load it too, say its precision, sites and memory, and time one
    call of its network. Exits with 1 if something is missing, and says how to mend it.
    """
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    from ..checks import examine

    own = given(context)
    if model is None and (
        needless := [name for name, origin in own.origins.items() if name != "store" and origin == "flag"]
    ):
        raise click.UsageError(f"--{needless[0]} is of a model; name one: pnpvideo doctor MODEL --{needless[0]} ...")
    stated = resolve(own, None)
    checks = examine(stated.values.get("store"))
    if model is not None:
        from ..model_checks import examine_model

        with rendering(progress, quiet=verbosity.quiet, stream=sys.stderr) as report:
            checks += examine_model(stated.options(), report)
    usable = all(check.ok for check in checks)
    if as_json:
        click.echo(json.dumps({"usable": usable, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.found}")
            if not check.ok:
                click.echo(f"      {'':<{width}}  {check.fix}")
    if not usable:
        context.exit(1)
