"""Options on the command line: flags, PNPVIDEO_* variables and TOML files, derived from the options' declarations.

Precedence, highest first: flags, variables, --config, pnpvideo.toml, the user's config.toml.
"""

import dataclasses
import os
import stat
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from pnpvideo import kinds
from pnpvideo.errors import OptionError
from pnpvideo.kinds import Kind
from pnpvideo.methods.registry import METHODS, USUAL, USUAL_EDIT
from pnpvideo.option import SECTIONS, Spec, flag_of, specs
from pnpvideo.settings.options import KNOWN, KNOWN_DEFAULTS, Options

Command = TypeVar("Command", bound=Callable[..., Any])

PROJECT_FILE = "pnpvideo.toml"
USER_FILE = "config.toml"
MAX_BYTES = 20_000
"""Limit of an options file, because parsing takes time quadratic in the parts of a dotted key."""
ELSEWHERE: dict[str, Any] = {"source_prompt": "-", "change": ("-", "-")}
"""Placeholders, when a file is checked, for options that its own may require and that flags may still set."""
EDITS_ONLY = ("change", "change_strength")
"""Options of ``edit`` that commands with a prompt do not have."""
SHARED = frozenset(
    ("picked", "config", "student", "explain", "as_json", "progress", "quiet", "verbose", "offline", "help", "help_all")
)
"""Parameters that many commands have, for files of options, messages and help; a command's help lists them last."""


class Parsed(click.ParamType[Any]):
    """The click type of an option whose ``Kind`` parses the text."""

    def __init__(self, option: str, kind: Kind) -> None:
        self.option, self.kind, self.name = option, kind, kind.metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.kind.parse(self.option, value)
        except OptionError as error:
            self.fail(str(error), param, ctx)


class Setting(click.Option):
    """A click option that knows its section of the help."""

    def __init__(self, *arguments: Any, section: str = "", **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose --help shows the usual options and its own; --help-all shows all, under headings."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        everything = click.Option(
            ["--help-all"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=self._show_all,
            help="Show every option and exit.",
        )
        *params, short = super().get_params(ctx)
        return [*params, short, everything]

    def _show_all(self, ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta["pnpvideo.help_all"] = True
            click.echo(ctx.get_help())
            ctx.exit()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"": [], **{name: [] for name in SECTIONS}}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None:
                section = getattr(param, "section", "" if param.name in SHARED else "usual")
                sections[section].append(record)
        shown = SECTIONS if ctx.meta.get("pnpvideo.help_all") else ("usual",)
        titles = {"usual": "Usual options", "": "Other options"}
        for name in (*shown, ""):
            if sections[name]:
                with formatter.section(titles.get(name, name.capitalize())):
                    formatter.write_dl(sections[name])
        hidden = sum(len(sections[name]) for name in SECTIONS if name not in shown)
        if hidden:
            formatter.write_paragraph()
            formatter.write_text(f"{hidden} more options: --help-all")


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several decorators of click as one; the help shows their options in this order."""

    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def setting(name: str, *, usual: Any = None, **attributes: Any) -> Callable[[Command], Command]:
    """Add the flag of the option ``name``, with its environment variable and its default in the help.

    usual: the default to show, if the command sets one of its own. attributes: of click.option, overriding the derived
    ones.
    """
    return _flag(name, KNOWN[name], KNOWN_DEFAULTS[name] if usual is None else usual, attributes)


def settings_of(owner: type) -> Callable[[Command], Command]:
    """Add the flags of all options of a dataclass that belongs to one command, each with its default."""
    defaults = {field.name: field.default for field in dataclasses.fields(owner)}

    def apply(command: Command) -> Command:
        for name, spec in reversed(specs(owner).items()):
            command = _flag(name, spec, defaults[name], {"default": defaults[name]})(command)
        return command

    return apply


def _flag(name: str, spec: Spec, default: Any, attributes: Mapping[str, Any]) -> Callable[[Command], Command]:
    derived: dict[str, Any] = {
        "help": f"{spec.help}{_default(name, spec, default)}",
        "section": spec.section,
        "envvar": f"PNPVIDEO_{name.upper()}" if spec.variable else None,
        "metavar": spec.metavar or (None if isinstance(spec.kind, kinds.Choice | kinds.Switch) else spec.kind.metavar),
    }
    if isinstance(spec.kind, kinds.Switch):
        derived["is_flag"] = True
    else:
        derived |= {"type": _click_type(name, spec.kind), "multiple": isinstance(spec.kind, kinds.Several)}
    return click.option(*flag_of(name, spec), name, cls=Setting, **{**derived, **attributes})


def _click_type(name: str, kind: Kind) -> Any:
    if isinstance(kind, kinds.Choice):
        return click.Choice(kind.values)
    if isinstance(kind, kinds.File):
        return click.Path(path_type=Path, file_okay=not kind.folder)
    if isinstance(kind, kinds.Bytes | kinds.Frames | kinds.Shares | kinds.Several):
        return Parsed(name, kind)
    if isinstance(kind, kinds.Whole):
        return click.INT
    return click.FLOAT if isinstance(kind, kinds.Real | kinds.Number) else click.STRING


def _default(name: str, spec: Spec, default: Any) -> str:
    if spec.card:
        return f"  [default: the model's own{_otherwise(name, spec)}]"
    if default is None or isinstance(default, bool) or default == ():
        return ""
    shown = ":".join(f"{value:g}" for value in default) if isinstance(default, tuple) else default
    return f"  [default: {shown}]"


def _otherwise(name: str, spec: Spec) -> str:
    """What an option is where the model recommends nothing: the default, and that of each method with one of its own.

    Such as ", else 7.5 (pix2pix-zero: 5)".
    """
    general = "empty" if name == "negative" else spec.otherwise
    if general is None:
        return ""
    own = {}
    for method, kind in METHODS.items():
        value = kind.negative_otherwise if name == "negative" else kind().otherwise("epsilon", False).get(name)
        if value and value != general:
            own[method] = value if isinstance(value, str) else f"{value:g}"
    return f", else {general}" + "".join(f" ({method}: {value})" for method, value in own.items())


def settings(
    names: Collection[str] = tuple(KNOWN), without: Collection[str] = (), usual: Mapping[str, str] | None = None
) -> Callable[[Command], Command]:
    """Add the flags of the options ``names`` except those in ``without``, ordered by section.

    usual: defaults to show for options of which the command has its own.
    """
    chosen = [name for name in names if name not in without and KNOWN[name].flag is not None]
    ordered = sorted(chosen, key=lambda name: SECTIONS.index(KNOWN[name].section))

    def apply(command: Command) -> Command:
        for name in reversed(ordered):
            command = setting(name, usual=(usual or {}).get(name))(command)
        return command

    return apply


BY_TASK = {"method": f"{USUAL}; with --from and --to: {USUAL_EDIT}"}
"""Defaults to show in commands that take either a prompt or a change."""
RECIPE = (
    *("model", "negative", "preset", "steps", "solver", "spacing", "guidance", "guidance_span", "feature_until"),
    *("attention_until", "fresh_noise", "inversion_depth", "inversion_rounds", "seed", "batch", "device"),
)
"""The options of every command that runs recipes on generated clips or pictures."""

config_option = click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML file with options."
)


@dataclass(frozen=True)
class Stated:
    """Options that the user set. origins: option -> where: "flag", "variable NAME" or a file's path."""

    values: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    def over(self, other: "Stated") -> "Stated":
        """Merge with ``other``; these options take precedence."""
        return Stated({**other.values, **self.values}, {**other.origins, **self.origins})

    def options(self) -> Options:
        return Options.from_flat(self.values, self.origins)


def change_of(before: str | None, after: str | None) -> tuple[str, str] | None:
    """The change (before, after) of --from and --to; None without both. Raises UsageError if only one is given."""
    if (before is None) != (after is None):
        raise click.UsageError("give --from and --to together")
    return None if before is None or after is None else (before, after)


def given(context: click.Context) -> Stated:
    """The options that flags or variables set."""
    values, origins = {}, {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if name in KNOWN and source == click.core.ParameterSource.COMMANDLINE:
            values[name], origins[name] = value, "flag"
        elif name in KNOWN and source == click.core.ParameterSource.ENVIRONMENT:
            values[name], origins[name] = value, f"variable PNPVIDEO_{name.upper()}"
    return Stated(values, origins)


def resolve(stated: Stated, config: Path | None) -> Stated:
    """Merge ``stated`` with the options of the files, which have lower precedence.

    config: the file of --config. Raises OptionError that names the file and the option.
    """
    from platformdirs import user_config_path

    files = [path for path in (user_config_path("pnpvideo") / USER_FILE, Path(PROJECT_FILE)) if path.is_file()]
    merged = Stated()
    for path in [*files, *([config] if config is not None else [])]:
        values = read_file(path)
        merged = Stated(values, dict.fromkeys(values, str(path))).over(merged)
    return stated.over(merged)


def read_file(path: Path) -> dict[str, Any]:
    """Read and check the options of a TOML file. Its relative paths start at its own folder. Raises OptionError."""
    return _check(path, _parse(path))


def read_tables(path: Path) -> dict[str, dict[str, Any]]:
    """Read and check a TOML file of named sets of options, one table each. Raises OptionError."""
    tables = _parse(path)
    for name, values in tables.items():
        if not isinstance(values, dict):
            raise OptionError(f"{path}: {name} stands alone; accepted are tables of options, such as [{name}]")
        tables[name] = _check(path, values)
    return tables


def _check(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Convert the values that a TOML file has for known options, in place, and check them all."""
    try:
        for name, value in values.items():
            if name in KNOWN:
                values[name] = _load(name, value, path.parent)
        Options.from_flat({**ELSEWHERE, **values})
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error
    except (RecursionError, ValueError) as error:  # a value nested too deep, or a number too long, for the message
        raise OptionError(f"{path}: a value is not one that any option takes: {error}") from error
    return values


def _load(name: str, value: Any, folder: Path) -> Any:
    try:
        return KNOWN[name].kind.load(name, value, folder)
    except OptionError as error:
        raise OptionError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error


def _parse(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:  # a pipe does not block
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OptionError(f"{path} is not a regular file; accepted is a TOML file of options")
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise OptionError(f"{path} is larger than {MAX_BYTES:,} bytes, too large for a file of options")
        parsed: dict[str, Any] = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path} is no TOML file: {error}") from error
    return parsed
