"""pnpvideo store: list, clear or limit the data kept between runs."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pnpvideo.errors import printable
from pnpvideo.kinds import Bytes

from ..settings import Parsed, given, resolve, setting
from ..verbosity import Verbosity, json_option, verbosity_options

if TYPE_CHECKING:
    from pnpvideo.store import EntryInfo, Store

KINDS = ("trajectory", "run", "direction")


@click.group(short_help="List, clear or limit what is kept between runs.")
def store() -> None:
    """What is kept between runs: trajectories, built directions, and the state of interrupted runs."""


@store.command("list")
@setting("store")
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def list_entries(context: click.Context, as_json: bool, **_stated: Any) -> None:
    """List the entries, the least recently used first."""
    store = open_store(context)
    entries = store.list()
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
                "about": dict(entry.about),
            }
            for entry in entries
        ]
        click.echo(json.dumps({"root": str(store.root), "bytes": total, "entries": rows}, indent=2))
        return
    for entry in entries:
        created, last_used = (f"{time.astimezone():%Y-%m-%d %H:%M}" for time in (entry.created, entry.last_used))
        row = [
            f"{entry.kind:<10}",
            printable(entry.key[:12]),
            f"{megabytes(entry.bytes):>10}",
            f"made {created}, used {last_used}",
        ]
        click.echo("  ".join([*row, describe(entry)]))
    click.echo(f"{len(entries)} entries, {megabytes(total)}, in {printable(str(store.root))}")


def describe(entry: "EntryInfo") -> str:
    """Return what the entry was computed from, as far as known, such as "ball.mp4, 256 x 256, miniature"."""
    if not entry.usable:
        return "(of another version or damaged)"
    facts = [entry.about.get(name, "") for name in ("clip", "change", "size", "model")]
    return printable(", ".join(filter(None, facts))) or "(made by an earlier version, which did not say of what)"


@store.command()
@click.option("--kind", type=click.Choice(KINDS), help="Only entries of this kind.")
@click.option("--key", help="Only the entry whose key begins so.")
@setting("store")
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def clear(context: click.Context, kind: str | None, key: str | None, as_json: bool, **_stated: Any) -> None:
    """Remove entries, but those in use. What is removed is computed again when it is needed."""
    store = open_store(context)
    if key is not None:
        keys = {entry.key for entry in store.list() if entry.key.startswith(key) and kind in (None, entry.kind)}
        if len(keys) != 1:
            raise click.BadParameter(f"{len(keys)} keys begin with {key!r}", context, param_hint="'--key'")
        key = keys.pop()
    report_removal(store, lambda: store.clear(kind, key), as_json)


@store.command()
@click.option(
    "--limit",
    type=Parsed("limit", Bytes(0)),
    required=True,
    envvar="PNPVIDEO_STORE_LIMIT",
    help="Size to keep within, such as 20G.",
)
@setting("store")
@json_option("Print one JSON object.")
@verbosity_options
@click.pass_context
def prune(context: click.Context, limit: int, as_json: bool, **_stated: Any) -> None:
    """Remove the least recently used entries, but those in use, until the store is no larger than --limit."""
    store = open_store(context)
    report_removal(store, lambda: store.prune(limit), as_json)


def report_removal(store: "Store", remove: Callable[[], int], as_json: bool) -> None:
    """Call ``remove``, which returns the number of entries removed, and print it with the bytes freed."""
    before = sum(entry.bytes for entry in store.list())
    removed = remove()
    freed = before - sum(entry.bytes for entry in store.list())
    if as_json:
        click.echo(json.dumps({"root": str(store.root), "removed": removed, "bytes": freed}, indent=2))
    else:
        click.echo(f"{removed} entries removed, {megabytes(freed)} freed, in {printable(str(store.root))}")


def open_store(context: click.Context) -> "Store":
    """The store that a translation with the same flags, variables and files would use."""
    from pnpvideo.store import Store

    from ..render import Lines

    folder = resolve(given(context), None).values.get("store")
    if context.ensure_object(Verbosity).quiet:
        return Store(folder)
    return Store(folder, report=Lines(sys.stderr))


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
