"""Declare an option as a dataclass field: default, the kind of its values, help, and who may recommend a value.

Flags, environment variables, files of options, checks, ``docs/cli.md`` and a checkpoint's recommendations are derived
from these declarations, so a new option is one field of one dataclass. Nothing heavy is imported here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnpvideo.kinds import Kind
from pnpvideo.video.span import TimeSpan

SECTIONS = ("usual", "look", "coherence", "speed and memory", "input", "output", "machine")
"""Headings in a command's help, in order of appearance."""
METADATA = "pnpvideo"
"""Key of an option's Spec in the metadata of its dataclass field."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The declaration of an option, besides its name and default.

    section: heading in the help, one of SECTIONS. metavar: placeholder for the value in the help; None: the kind's.
    flag: its flags; (): derived from the name, None: no flag. variable: whether an environment variable sets it.
    otherwise: the value if the option is None and nobody recommends one. card: whether a checkpoint may recommend one.
    search: the range in which ``pnpvideo tune`` searches, up to 1 for a share of the steps; None: it leaves the option
    alone.
    """

    kind: Kind
    help: str
    section: str
    metavar: str | None = None
    flag: tuple[str, ...] | None = ()
    variable: bool = True
    otherwise: Any = None
    card: bool = False
    search: tuple[float, float] | None = None


def option(default: Any, spec: Spec, *, compare: bool = True) -> Any:
    """A dataclass field that is an option. compare: as in dataclasses.field; False if it never changes a result."""
    return dataclasses.field(default=default, compare=compare, metadata={METADATA: spec})


def specs(owner: Any) -> dict[str, Spec]:
    """The options of a dataclass, or of an instance of one, by name."""
    fields = dataclasses.fields(owner)
    return {field.name: field.metadata[METADATA] for field in fields if METADATA in field.metadata}


def check_options(owner: Any) -> None:
    """Check every option of a dataclass instance; None is accepted where it is the default. Raises OptionError."""
    for field in dataclasses.fields(owner):
        value = getattr(owner, field.name)
        if METADATA in field.metadata and not (value is None and field.default is None):
            field.metadata[METADATA].kind.check(field.name, value)


def stated(owner: Any) -> dict[str, Any]:
    """The options of a dataclass instance that differ from their defaults."""
    pairs = {field.name: (getattr(owner, field.name), field.default) for field in dataclasses.fields(owner)}
    return {name: pairs[name][0] for name in specs(owner) if pairs[name][0] != pairs[name][1]}


def flag_of(name: str, spec: Spec) -> tuple[str, ...]:
    """The flags of an option: those that it declares, else one made of its name."""
    return spec.flag or (f"--{name.replace('_', '-')}",)


def values_of(owner: Any) -> Mapping[str, Any]:
    """All options of a dataclass instance, by name."""
    return {name: getattr(owner, name) for name in specs(owner)}


def plain(value: Any) -> Any:
    """Convert an option's value for JSON: paths and spans of time to text, tuples to lists."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path | TimeSpan) else value
