"""pnpvideo doctor: check whether this machine can translate, and say how to repair what is missing."""

import json
from dataclasses import asdict

import click

from ..settings import given, resolve, setting
from ..verbosity import json_option, verbosity_options


@click.command(short_help="Check that this machine can translate.")
@setting("store")
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def doctor(context: click.Context, as_json: bool, **_stated: object) -> None:
    """Check Python, PyTorch and its devices, ffmpeg, the shipped model and the store.

    Exits with 1 if something is missing, and says how to mend it.
    """
    from ..checks import examine

    checks = examine(resolve(given(context), None).values.get("store"))
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
