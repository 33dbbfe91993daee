"""pnpvideo models: list the aliases for --model, and which of them are on this machine."""

import json
from pathlib import Path

import click

from ..verbosity import json_option, verbosity_options


@click.command(short_help="List the models that have a name.")
@json_option("Print one JSON object.")
@verbosity_options
def models(as_json: bool) -> None:
    """List the aliases for --model, where each comes from, and whether it is on this machine. Asks no network."""
    from pnpvideo.settings.models import ALIASES

    rows = [
        {"name": alias.name, "source": alias.source, "local": is_local(alias.source), "note": alias.note}
        for alias in ALIASES.values()
    ]
    if as_json:
        click.echo(json.dumps({"models": rows}, indent=2))
        return
    name_width = max(map(len, ALIASES))
    for row in rows:
        here = "on this machine" if row["local"] else "fetched on first use"
        click.echo(f"{row['name']:<{name_width}}  {here:<20}  {row['note']}")
        click.echo(f"{'':<{name_width}}  from {row['source']}")
    click.echo(
        "--model also takes the folder, the single .safetensors file or the hub id of any Stable Diffusion 1.x, 2.x"
    )
    click.echo("or XL checkpoint; --lora FILE:SCALE and --vae FILE change it.")


def is_local(source: str) -> bool:
    """Whether ``source`` is a checkpoint's folder, or a hub id whose UNet is in the local hub cache."""
    folder = Path(source)
    if not folder.is_dir() and not folder.is_absolute():
        from huggingface_hub import try_to_load_from_cache

        index = try_to_load_from_cache(source, "model_index.json")
        if not isinstance(index, str):
            return False
        folder = Path(index).parent
    return (folder / "model_index.json").is_file() and any((folder / "unet").glob("*.safetensors"))
