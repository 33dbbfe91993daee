"""Where options come from: flags over PNPVIDEO_* variables over --config over pnpvideo.toml over the user's file."""

import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from pnpvideo.errors import OptionError
from pnpvideo.options import COHERENCES, DTYPES, PLACEMENTS, SOLVERS, SPACINGS, UPDATES, TranslateOptions
from pnpvideo.presets import PRESETS

from .values import Bytes, Direction, Shares, Span, parse_span

Command = TypeVar("Command", bound=Callable[..., Any])

PROJECT_FILE = "pnpvideo.toml"
USER_FILE = "config.toml"
MAX_BYTES = 20_000
"""Of a file of options; the time that a TOML parser takes grows with the square of a dotted key's parts."""
ELSEWHERE: dict[str, Any] = {"source_prompt": "-", "change": ("-", "-")}
"""Stand-ins for what options of a file may need besides, and flags may say."""
DEFAULTS = {field.name: field.default for field in fields(TranslateOptions)}
TEXTS = (
    *(
        "preset",
        "solver",
        "spacing",
        "model",
        "source_prompt",
        "negative",
        "captioner",
        "method",
        "update",
        "placement",
    ),
    *("coherence", "device", "dtype", "decoder", "store", "mask"),
)
SWITCHES = ("generate", "overwrite", "allow_partial", "checkpointing", "keep_background", "compile")


def setting(field: str, *flags: str, help: str, usual: Any = None, **attributes: Any) -> Callable[[Command], Command]:
    """The click option for ``field`` of TranslateOptions, with its variable, and its default in the help.

    usual: the command's own default, which the command sets; None: that of TranslateOptions.
    """
    default = DEFAULTS[field] if usual is None else usual
    shown = help if default is None or default is False or default == () else f"{help}  [default: {default}]"
    attributes.setdefault("envvar", f"PNPVIDEO_{field.upper()}")
    return click.option(*flags, field, help=shown, **attributes)


config_option = click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML file with options."
)
store_option = setting(
    "store",
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the store; without it, one in the user's cache folder.",
)


_RECIPE = (
    setting("model", "--model", metavar="MODEL", help="Alias (see 'pnpvideo models'), checkpoint folder or hub id."),
    setting(
        "negative", "--negative", metavar="TEXT", help="What the result must not show; {source}: the source prompt."
    ),
    setting(
        "preset", "--preset", type=click.Choice(tuple(PRESETS)), help="What a run spends where nothing else is asked."
    ),
    setting("steps", "--steps", type=int, help="Denoising steps, and inversion steps; without it, the preset's."),
    setting(
        "solver",
        "--solver",
        type=click.Choice(SOLVERS),
        help="Of second order up and down, or DDIM; without it, the preset's.",
    ),
    setting(
        "spacing",
        "--spacing",
        type=click.Choice(SPACINGS),
        help="Of the steps: even in the third root of the noise, or the checkpoint's; without it, the preset's.",
    ),
    setting("guidance", "--guidance", type=float, help="Guidance scale; without it, the model's own."),
    setting(
        "guidance_span",
        "--guidance-span",
        type=Shares(),
        metavar="A:B",
        usual="0:1",
        help="Shares of the run between which there is guidance.",
    ),
    setting(
        "feature_until",
        "--feature-until",
        type=float,
        help="Share of the steps that inject residual features; without it, the model's own.",
    ),
    setting(
        "attention_until",
        "--attention-until",
        type=float,
        help="Share of the steps that inject self-attention; without it, the model's own.",
    ),
    setting(
        "fresh_noise",
        "--fresh-noise",
        type=float,
        help="Share of pnp's starting noise that is drawn anew; without it, the model's own.",
    ),
    setting(
        "inversion_rounds",
        "--inversion-rounds",
        type=int,
        metavar="N",
        help="With --solver ddim: corrections of an inversion step, a network call each; without it, the model's.",
    ),
    setting("seed", "--seed", type=int, help="Seed of all noise."),
    setting("batch", "--batch", type=int, metavar="FRAMES", help="Frames for each call of the network."),
    setting("device", "--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps."),
)


def recipe_settings(command: Command) -> Command:
    """The options of one translation that every command has which translates, in the order of _RECIPE."""
    for option in reversed(_RECIPE):
        command = option(command)
    return command


_CLIP = (
    setting("source_prompt", "--source-prompt", metavar="TEXT", help="What the input shows; without it, a caption."),
    setting(
        "captioner", "--captioner", metavar="MODEL", help="Folder or hub id of a BLIP; without it, the model's own."
    ),
    setting(
        "directions",
        "--direction",
        type=Direction(),
        multiple=True,
        envvar=None,  # a list has no place in a variable
        metavar="FILE[:STRENGTH]",
        help="Edit direction to add to what the model reads; may be given again.",
    ),
    setting("placement", "--placement", type=click.Choice(PLACEMENTS), help="Where directions enter the text."),
    setting(
        "mask",
        "--mask",
        type=click.Path(path_type=Path),
        help="Still or clip, white where the result may change; the rest stays as it is.",
    ),
    setting(
        "keep_background",
        "--keep-background",
        is_flag=True,
        help="The same, with a mask of where the network looks for what changes (--from, or the first --direction).",
    ),
    setting(
        "cross_attention",
        "--cross-attention",
        type=float,
        help="pix2pix-zero: how strongly the content is kept; without it, the model's own, usually 0.1.",
    ),
    setting(
        "cross_attention_until",
        "--cross-attention-until",
        type=float,
        help="pix2pix-zero: share of the steps that do so; without it, the model's own.",
    ),
    setting(
        "update",
        "--update",
        type=click.Choice(UPDATES),
        help="pix2pix-zero: its step as the paper has it, or as its authors' code.",
    ),
    setting("map_pixels", "--map-pixels", type=int, help="pix2pix-zero: only maps of at most so many pixels guide."),
    setting("checkpointing", "--checkpointing", is_flag=True, help="pix2pix-zero: less memory, more time."),
    setting(
        "regularize",
        "--regularize",
        type=float,
        metavar="GAIN",
        help="Regularised inversion: 1 or 2; 0: plain; without it, 2 for pix2pix-zero.",
    ),
    setting("coherence", "--coherence", type=click.Choice(COHERENCES), help="What ties the frames together."),
    setting("keyframe_every", "--keyframe-every", type=int, metavar="FRAMES", help="Frames between keyframes."),
    setting(
        "window", "--window", type=int, metavar="FRAMES", help="Frames of a long shot that are translated together."
    ),
    setting("memory", "--memory", type=Bytes(), help="Such as 8G: keep within, by smaller network calls and windows."),
    setting(
        "size", "--size", type=int, metavar="PIXELS", help="Working size of the short side; without it, the model's."
    ),
    setting("frames", "--frames", type=Span(), metavar="A:B", help="Span of frames, half-open, counted from 0."),
    setting("compile", "--compile", is_flag=True, help="Compile the network first: minutes, for long runs on a GPU."),
    setting("dtype", "--dtype", type=click.Choice(DTYPES), help="Precision of the network."),
    setting("decoder", "--decoder", type=click.Choice(("ffmpeg", "decord")), help="What decodes the input."),
    setting("track", "--track", type=int, metavar="N", help="Picture track of the input, counted from 0."),
    setting("allow_partial", "--allow-partial", is_flag=True, help="Take what can be read of a damaged INPUT."),
)


def clip_settings(command: Command) -> Command:
    """The options of every command that makes one clip of another, in the order of _CLIP."""
    for option in reversed(_CLIP):
        command = option(command)
    return command


EDITED_BY = "pix2pix-zero"
"""The method of an edit where none is said."""


def change_of(before: str | None, after: str | None) -> tuple[str, str] | None:
    """What --from and --to say together. UsageError where one of them is missing."""
    if (before is None) != (after is None):
        raise click.UsageError("give --from and --to together")
    return None if before is None or after is None else (before, after)


def given(context: click.Context) -> dict[str, Any]:
    """The options that flags or variables set."""
    stated = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
    return {
        name: value
        for name, value in context.params.items()
        if name in DEFAULTS and context.get_parameter_source(name) in stated
    }


def resolve(stated: Mapping[str, Any], config: Path | None) -> dict[str, Any]:
    """``stated`` over the files' values; what nobody sets is left out. Raises OptionError, naming file and field."""
    from platformdirs import user_config_path

    found = [path for path in (user_config_path("pnpvideo") / USER_FILE, Path(PROJECT_FILE)) if path.is_file()]
    values: dict[str, Any] = {}
    for path in [*found, *([config] if config is not None else [])]:
        values.update(read_file(path))
    return {**values, **stated}


def read_file(path: Path) -> dict[str, Any]:
    """The options that a TOML file sets, each checked. Relative paths start at the file's own folder."""
    return _checked(path, _parsed(path))


def read_tables(path: Path) -> dict[str, dict[str, Any]]:
    """The named sets of options that a TOML file holds, a table each, each checked."""
    tables = _parsed(path)
    for name, values in tables.items():
        if not isinstance(values, dict):
            raise OptionError(f"{path}: {name} stands alone; accepted are tables of options, such as [{name}]")
        tables[name] = _checked(path, values)
    return tables


def _checked(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    try:
        for name, value in values.items():
            values[name] = _value(name, value, path.parent)
        TranslateOptions.from_mapping({**ELSEWHERE, **values})
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error
    except click.BadParameter as error:
        raise OptionError(f"{path}: {name}: {error.message}") from error
    except (RecursionError, ValueError) as error:  # a value that is nested too deep, or a number too long, to be shown
        raise OptionError(f"{path}: a value is not one that any option takes: {error}") from error
    return values


def _parsed(path: Path) -> dict[str, Any]:
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
        return tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path} is no TOML file: {error}") from error


def _value(name: str, value: Any, folder: Path) -> Any:
    if name in TEXTS and not isinstance(value, str):
        raise OptionError(f"{name} is {value!r}; accepted is a text in quotes")
    if name in SWITCHES and not isinstance(value, bool):
        raise OptionError(f"{name} is {value!r}; accepted is true or false")
    if name == "frames":
        if not isinstance(value, str):
            raise OptionError(f'frames is {value!r}; accepted is a text such as "0:25"')
        return parse_span(value)
    if name == "guidance_span" and isinstance(value, str):
        return Shares().convert(value, None, None)
    if name == "memory" and isinstance(value, str):
        return Bytes().convert(value, None, None)
    if name in ("change", "guidance_span") and isinstance(value, list):
        return tuple(value)
    if name == "directions":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise OptionError(
                f'directions is {value!r}; accepted is a list of texts such as "ball2cube.safetensors:1.2"'
            )
        pairs = [Direction().convert(item, None, None) for item in value]
        return tuple((str(folder / Path(file).expanduser()), strength) for file, strength in pairs)
    if name in ("store", "mask"):
        return folder / Path(value).expanduser()
    if name in ("model", "captioner"):
        return _model(value, folder)
    return value


def _model(value: str, folder: Path) -> str:
    """An alias as it is; else what exists beside the file, or reads as a path only; else a hub id."""
    from pnpvideo.backends.models import ALIASES

    beside = folder / Path(value).expanduser()
    path_only = value.startswith(("./", "../", "~"))
    known = not value or value in ALIASES
    return value if known or not (path_only or os.path.exists(beside)) else str(beside)
