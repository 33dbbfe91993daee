"""pnpvideo ui: a page in the browser for people who would rather look than type."""

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from pnpvideo.early import check_options
from pnpvideo.errors import OptionError
from pnpvideo.events import Notice
from pnpvideo.ui.limits import Limits
from pnpvideo.ui.server import Address, check_installed, serve

from ..render import rendering
from ..settings import EDITS_ONLY, SectionedCommand, config_option, given, resolve, settings, settings_of
from ..verbosity import Verbosity, hush_libraries, verbosity_options

PASSWORD = "PNPVIDEO_UI_PASSWORD"
MOST_BYTES = 4096


@click.command(cls=SectionedCommand, short_help="Serve the web interface.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; others need a password.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0: a free one.")
@click.option("--user", help="Who may open the page; with a password.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"File with the password in its first line; without it, the variable {PASSWORD}.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in this machine's browser.")
@settings_of(Limits)
@settings(without=(*EDITS_ONLY, "generate", "overwrite", "mask", "keep_background", "directions"))
@config_option
@verbosity_options
@click.pass_context
def ui(context: click.Context, config: Path | None, **asked: Any) -> None:
    """Serve a page that translates clips and stills, tries options, compares, and keeps the results of a session.

    It is open to this machine only, unless --host says otherwise, which needs --user and a password. The other options
    are those that the page begins with; device, precision and store are the same for all who open it.

    \b
    pnpvideo ui --open
    pnpvideo ui --host 0.0.0.0 --user studio --password-file secret.txt
    """
    verbosity = context.ensure_object(Verbosity)
    hush_libraries(verbosity)
    check_installed()
    password = _password(asked["password_file"], asked["user"])
    address = Address(host=asked["host"], port=asked["port"], user=asked["user"], password=password)
    limits = Limits(**{field.name: asked[field.name] for field in fields(Limits)})
    stated = resolve(given(context), config)
    check_options(stated.options())
    with rendering("plain", quiet=verbosity.quiet, stream=sys.stderr) as report:

        def ready(url: str) -> None:
            report(Notice(message=f"the page is at {url} (Ctrl-C ends it)"))
            if asked["opens"]:
                click.launch(url)

        serve(address, stated.values, limits, ready)


def _password(file: Path | None, user: str | None) -> str | None:
    """The password of a file, else for a user that of the environment; None if there is none."""
    if file is None:
        return None if user is None else os.environ.get(PASSWORD)
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.readline(MOST_BYTES).rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise OptionError(f"{file} cannot be read as text: {error}") from error
