"""pnpvideo models: list the aliases for --model, and which of them are on this machine; fetch one."""

import json
import sys
from pathlib import Path

import click

from ..render import progress_option, rendering
from ..verbosity import Verbosity, hush_libraries, json_option, verbosity_options


@click.group(invoke_without_command=True, short_help="List the aliases of models, or fetch a model.")
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the aliases for --model, where each comes from, and whether it is on this machine. Asks no network."""
    if context.invoked_subcommand is not None:
        return
    from pnpvideo.settings.models import ALIASES

    rows = [{**vars(alias), "local": is_local(alias.source)} for alias in ALIASES.values()]
    if as_json:
        click.echo(json.dumps({"models": rows}, indent=2))
        return
    name_width = max(map(len, ALIASES))
    for row in rows:
        here = "on this machine" if row["local"] else "fetched on first use"
        click.echo(f"{row['name']:<{name_width}}  {here:<20}  {row['note']}")
        click.echo(f"{'':<{name_width}}  from {row['source']}; licence: {row['licence']}")
        if row["gigabytes"]:
            command = f"pnpvideo models fetch {row['name']}"
            click.echo(f"{'':<{name_width}}  {row['gigabytes']:g} GB, by {command}; with --half, half of that")
    click.echo(
        "--model also takes the folder, the single .safetensors file or the hub id of any Stable Diffusion 1.x, 2.x"
    )
    click.echo(
        "or XL checkpoint. They run with every method and coherence; --lora FILE:SCALE, --embedding FILE and --vae FILE"
    )
    click.echo(
        "change each of them, --controlnet FILE steers 1.x and 2.x. It takes Stable Diffusion 3 and 3.5 in the same"
    )
    click.echo("three forms; they run with pnp, sdedit and flowedit, and without these files. See docs/checkpoints.md.")


@models.command("fetch")
@click.argument("model", metavar="NAME")
@click.option("--half", is_flag=True, help="The weights in fp16, where there are such: half of the size.")
@progress_option
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def fetch(context: click.Context, model: str, half: bool, progress: str, as_json: bool) -> None:
    """Fetch a checkpoint now, so that later runs need no network. NAME is an alias or a hub id.

    Files that are complete in the cache of the hub are not fetched again. Hashes are compared with those that the hub
    states.
    """
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    from pnpvideo.backends.checkpoint import locate
    from pnpvideo.settings.models import resolve

    with rendering(progress, quiet=verbosity.quiet, stream=sys.stderr) as report:
        folder = locate(resolve(model), report, half)
    click.echo(json.dumps({"name": model, "folder": str(folder)}, indent=2) if as_json else str(folder))


def is_local(source: str) -> bool:
    """Whether ``source`` is a checkpoint's folder, or a hub id whose network is in the local hub cache."""
    folder = Path(source)
    if not folder.is_dir() and not folder.is_absolute():
        from huggingface_hub import try_to_load_from_cache

        index = try_to_load_from_cache(source, "model_index.json")
        if not isinstance(index, str):
            return False
        folder = Path(index).parent
    return (folder / "model_index.json").is_file() and any(
        any((folder / part).glob("*.safetensors")) for part in ("unet", "transformer")
    )
