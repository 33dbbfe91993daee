"""Generate docs/cli.md from the commands, and docs/python.md from the options' declarations:

python -m pnpvideo.cli.reference docs/cli.md docs/python.md
"""

import dataclasses
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import pnpvideo as package
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.methods.registry import METHODS
from pnpvideo.option import flag_of, specs

from .main import pnpvideo

HEAD = """# Command line

Written by `python -m pnpvideo.cli.reference docs/cli.md`; change the commands, not this page.

Exit codes: 0 done, 1 failure, 2 usage, 3 bad input, 4 model missing or invalid, 5 memory or device, 6 output or
encoder, 7 rows of a batch failed, 129 hung up, 130 interrupted, 143 terminated. Errors, notices and progress go to
standard error, results to standard output.
"""

PYTHON_HEAD = """# Options in Python

Written by `python -m pnpvideo.cli.reference docs/python.md`; change the options, not this page.

`pnpvideo.translate`, `edit`, `plan`, `load` and the methods of a `Translator` take options in groups, as keyword
arguments; the [quickstart](quickstart.md#from-python) has examples. Each group is a frozen dataclass whose fields are
listed here, with the flag of the command line. `None` leaves an option to the checkpoint's recommendation, then to the
preset, then to the default that the [command line](cli.md) states.
"""
GROUPS = ("Prompts", "Sampling", "Region", "Reading", "Runtime", "Customization", "Control")


def reference() -> str:
    """The page as Markdown, independent of the machine and of the terminal's width."""
    root = click.Context(pnpvideo, info_name="pnpvideo", **pnpvideo.context_settings)
    return "\n".join([HEAD, *_sections(pnpvideo, root)])


def python_reference() -> str:
    """The page of the option groups as Markdown."""
    methods = [f"`{kind.__name__}` is `--method {name}`" for name, kind in METHODS.items()]
    coherences = [f"`{kind.__name__}` is `--coherence {name}`" for name, kind in COHERENCES.items()]
    lines = [PYTHON_HEAD, "## `method`\n", f"{'; '.join(methods)}.\n"]
    for kind in METHODS.values():
        lines += _table(f"### `pnpvideo.{kind.__name__}`", kind)
    lines += ["## `coherence`\n", f"{'; '.join(coherences)}.\n"]
    for each in COHERENCES.values():
        lines += _table(f"### `pnpvideo.{each.__name__}`", each)
    for name in GROUPS:
        group = getattr(package, name)
        lines += _table(f"## `{name.lower()}`: `pnpvideo.{name}`", group)
    return "\n".join(lines)


def _table(title: str, group: type) -> Iterator[str]:
    yield f"{title}\n"
    yield f"{inspect.cleandoc(group.__doc__ or '').splitlines()[0]}\n"
    fields = {field.name: field for field in dataclasses.fields(group)}
    if options := specs(group):
        yield "| field | type | default | flag | what it does |\n|---|---|---|---|---|"
    for name, spec in options.items():
        field = fields[name]
        flag = f"`{', '.join(flag_of(name, spec))}`" if spec.flag is not None else ""
        cells = (f"`{name}`", f"`{field.type}`", f"`{field.default!r}`", flag, spec.help)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}\n"
    yield f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}\n"
    yield f"{_prose(command)}\n"
    options = [option for option in command.get_params(context) if isinstance(option, click.Option)]
    yield "| option | variable | what it does |\n|---|---|---|"
    for option in options:
        record = option.get_help_record(context)
        if record is not None:
            names, help = (text.replace("|", "\\|") for text in record)
            variable = f"`{option.envvar}`" if option.envvar else ""
            yield f"| `{names}` | {variable} | {help} |"
    yield ""
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from _sections(inner, click.Context(inner, info_name=name, parent=context))


def _prose(command: click.Command) -> str:
    """The help text; a paragraph that click does not rewrap (marked with a backspace) becomes a code block."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        "\n".join(f"    {line}" for line in paragraph.splitlines()[1:]) if paragraph.startswith("\b") else paragraph
        for paragraph in paragraphs
    )


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        page = Path(argument)
        page.write_text(python_reference() if page.stem == "python" else reference(), "utf-8")
