"""pnpvideo store: what is kept between runs."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from pnpvideo.errors import printable

from ..loudness import Loudness, json_option, loudness_options
from ..settings import given, resolve, setting

if TYPE_CHECKING:
    from pnpvideo.store import Store

KINDS = ("trajectory", "run", "direction")


@click.group(short_help="List or clear what is kept between runs.")
def store() -> None:
    """List or clear what is kept between runs: trajectories, built directions, and the state of interrupted runs."""


@store.command("list")
@setting("store")
@json_option("Print one JSON object.")
@loudness_options
@click.pass_context
def list_entries(context: click.Context, as_json: bool, **_stated: Any) -> None:
    """List the entries, the least recently used first."""
    opened = opened_store(context)
    entries = opened.list()
    total = sum(entry.bytes for entry in entries)
    if as_json:
        rows = [
            {
                "kind": entry.kind,
                "key": entry.key,
                "bytes": entry.bytes,
                "parts": entry.parts,
                "created": entry.created.isoformat(timespec="seconds"),
                "last_used": entry.last_used.isoformat(timespec="seconds"),
                "usable": entry.usable,
            }
            for entry in entries
        ]
        click.echo(json.dumps({"root": str(opened.root), "bytes": total, "entries": rows}, indent=2))
        return
    for entry in entries:
        used = entry.last_used.astimezone().strftime("%Y-%m-%d %H:%M")
        unusable = "" if entry.usable else "  (of another version or damaged)"
        name = f"{entry.kind:<10}  {printable(entry.key[:12])}"
        click.echo(f"{name}  {megabytes(entry.bytes):>10}  {entry.parts:>4} parts  used {used}{unusable}")
    click.echo(f"{len(entries)} entries, {megabytes(total)}, in {printable(str(opened.root))}")


@store.command()
@click.option("--kind", type=click.Choice(KINDS), help="Only entries of this kind.")
@click.option("--key", help="Only the entry whose key begins so.")
@setting("store")
@json_option("Print one JSON object.")
@loudness_options
@click.pass_context
def clear(context: click.Context, kind: str | None, key: str | None, as_json: bool, **_stated: Any) -> None:
    """Remove entries, but those in use. What is removed is computed again when it is needed."""
    opened = opened_store(context)
    if key is not None:
        keys = {entry.key for entry in opened.list() if entry.key.startswith(key) and kind in (None, entry.kind)}
        if len(keys) != 1:
            raise click.BadParameter(f"{len(keys)} keys begin with {key!r}", context, param_hint="'--key'")
        key = keys.pop()
    before = sum(entry.bytes for entry in opened.list())
    removed = opened.clear(kind, key)
    freed = before - sum(entry.bytes for entry in opened.list())
    if as_json:
        click.echo(json.dumps({"root": str(opened.root), "removed": removed, "bytes": freed}, indent=2))
    else:
        click.echo(f"{removed} entries removed, {megabytes(freed)} freed, in {printable(str(opened.root))}")


def opened_store(context: click.Context) -> "Store":
    """The store that a translation would use, given the same flags, variables and files."""
    from pnpvideo.store import Store

    from ..render import Lines

    folder = resolve(given(context), None).values.get("store")
    if context.ensure_object(Loudness).quiet:
        return Store(folder)
    return Store(folder, report=Lines(sys.stderr))


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
