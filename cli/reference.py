"""Generate docs/cli.md from the commands: ``python -m pnpvideo.cli.reference docs/cli.md``."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from .main import pnpvideo

HEAD = """# Command line

Written by `python -m pnpvideo.cli.reference docs/cli.md`; change the commands, not this page.

Exit codes: 0 done, 1 failure, 2 usage, 3 bad input, 4 model missing or invalid, 5 memory or device, 6 output or
encoder, 7 rows of a batch failed, 129 hung up, 130 interrupted, 143 terminated. Errors, notices and progress go to
standard error, results to standard output.
"""


def reference() -> str:
    """The page as Markdown, independent of the machine and of the terminal's width."""
    root = click.Context(pnpvideo, info_name="pnpvideo", **pnpvideo.context_settings)
    return "\n".join([HEAD, *_sections(pnpvideo, root)])


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
    Path(sys.argv[1]).write_text(reference(), "utf-8")
