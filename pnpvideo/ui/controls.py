"""The controls of the page, derived from the options' declarations, and what they hold as values of options.

A control that is left empty leaves the option to the preset, the model or the method. Nothing of gradio is needed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pnpvideo import kinds
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.errors import OptionError
from pnpvideo.kinds import Kind
from pnpvideo.methods.registry import METHODS
from pnpvideo.option import SECTIONS, Spec, specs
from pnpvideo.settings.options import KNOWN, KNOWN_DEFAULTS

AUTOMATIC = ""
"""The choice that leaves an option to the preset, the model or the method."""
OF_THE_SERVER = ("machine", "output")
"""Sections that whoever starts the server decides, not whoever opens the page."""
_UNSUITED = (kinds.File, kinds.Several, kinds.Concepts)


class Widget(Enum):
    """What a control looks like. Numbers are texts: a seed has more digits than a browser's numbers, and any may be
    left out."""

    CHOICE = "choice"
    SWITCH = "switch"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class Control:
    """One option on the page.

    content: what the control holds at first. choices: (label, content) pairs of a CHOICE. empty: what a TEXT that holds
    nothing says.
    """

    name: str
    label: str
    help: str
    section: str
    widget: Widget
    content: Any
    choices: tuple[tuple[str, str], ...] = ()
    empty: str = ""


def controls(start: Mapping[str, Any], models: tuple[str, ...]) -> list[Control]:
    """The controls of all options that suit a page, by section.

    start: values by flat name that the controls begin with. models: the checkpoints to choose from.
    """
    names = [name for name, spec in KNOWN.items() if has_control(name, spec)]
    return [
        _control(name, KNOWN[name], start, models)
        for section in SECTIONS
        for name in names
        if KNOWN[name].section == section
    ]


def values_of(contents: Mapping[str, Any], start: Mapping[str, Any]) -> dict[str, Any]:
    """The options that controls set, by flat name; those that are as by default are left out.

    start: values that the controls began with; one whose control is untouched counts as set. Raises OptionError.
    """
    found = {}
    for name, content in contents.items():
        if name in start and content == content_of(name, start[name]):
            found[name] = start[name]
            continue
        value = _value(name, KNOWN[name].kind, content)
        if value is not None and value != KNOWN_DEFAULTS[name]:
            found[name] = value
    return found


def content_of(name: str, value: Any) -> Any:
    """What the control of an option holds for ``value``."""
    kind = KNOWN[name].kind
    if isinstance(kind, kinds.Switch):
        return bool(value)
    if value is None:
        return AUTOMATIC
    if isinstance(kind, kinds.Whole | kinds.Real | kinds.Number):
        return repr(value).removesuffix(".0")
    if isinstance(kind, kinds.Model):
        return Path(value).name if Path(value).is_dir() else value  # the rest of a path is nobody's business
    if isinstance(kind, kinds.Shares):
        return ":".join(f"{share:g}" for share in value)
    return str(kind.dump(value))


def readers(name: str) -> tuple[str, ...] | None:
    """The methods, or coherences, that read the option ``name``; None: every run reads it."""
    for registered in (METHODS, COHERENCES):
        found = tuple(key for key, owner in registered.items() if name in specs(owner))
        if found:
            return found
    return None


def has_control(name: str, spec: Spec) -> bool:
    """Whether an option is for whoever opens the page: paths, and what the machine does, are of the server."""
    if spec.section in OF_THE_SERVER or isinstance(spec.kind, _UNSUITED) or name == "generate":
        return False
    return name == "model" or not isinstance(spec.kind, kinds.Model)


def _control(name: str, spec: Spec, start: Mapping[str, Any], models: tuple[str, ...]) -> Control:
    kind = spec.kind
    default = KNOWN_DEFAULTS[name]
    choices: tuple[str, ...] = ()
    if name == "model":
        choices = tuple(content_of(name, model) for model in models)
    elif isinstance(kind, kinds.Choice):
        choices = kind.values
    elif isinstance(kind, kinds.Number):
        choices = tuple(content_of(name, value) for value in kind.values)
    automatic = (("automatic", AUTOMATIC),) if default is None else ()
    widget = Widget.TEXT
    if choices:
        widget = Widget.CHOICE
    elif isinstance(kind, kinds.Switch):
        widget = Widget.SWITCH
    return Control(
        name=name,
        label=name.replace("_", " ").capitalize(),
        help=spec.help,
        section=spec.section,
        widget=widget,
        content=content_of(name, start.get(name, default)),
        choices=(*automatic, *((choice, choice) for choice in choices)) if choices else (),
        empty="automatic" if default is None else "",
    )


def _value(name: str, kind: Kind, content: Any) -> Any:
    """The option's value; None for an empty control."""
    if content is None or content == AUTOMATIC:
        return None
    if isinstance(kind, kinds.Switch):
        value = content
    elif isinstance(content, str):
        value = kind.parse(name, content)
    else:
        raise OptionError(f"{name} is {content!r}; accepted is a text")
    kind.check(name, value)
    return value
