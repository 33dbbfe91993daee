"""The group of commands, and the exit code of whatever a command raises.

    0 done · 1 failure · 2 usage · 3 bad input · 4 model missing or invalid · 5 memory or device
    6 output or encoder · 7 rows of a batch failed · 129 hung up · 130 interrupted · 143 terminated

With ``--progress json`` an error is one more object on standard error: ``event`` ("error"), ``error`` (its class, such
as "OptionError" or "UsageError", or the signal that ended the command), ``exit_code``, ``message``, with -v
``traceback``.

This file and those that it imports load nothing but click, so that ``--help`` and ``--version`` answer at once.
"""

import functools
import json
import signal
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

import click

from pnpvideo import __version__
from pnpvideo.errors import PnPVideoError, printable

from .commands.again import again
from .commands.apply import apply
from .commands.batch import batch
from .commands.bench import bench
from .commands.compare import compare
from .commands.direction import direction
from .commands.distill import distill
from .commands.doctor import doctor
from .commands.edit import edit
from .commands.inspect import inspect
from .commands.measure import measure
from .commands.models import models
from .commands.plan import plan
from .commands.preview import preview
from .commands.probe import probe
from .commands.store import store
from .commands.translate import translate
from .commands.tune import tune
from .commands.ui import ui
from .interrupt import Terminated, interruptible
from .verbosity import Verbosity, asks_for_json


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def pnpvideo() -> None:
    """Translate videos, animations and stills with a prompt, by steering a diffusion model from inside."""


for command in (
    translate,
    edit,
    preview,
    tune,
    distill,
    apply,
    ui,
    compare,
    inspect,
    direction,
    batch,
    again,
    plan,
    bench,
    measure,
    probe,
    models,
    doctor,
    store,
):
    pnpvideo.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (None: this process's) and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    verbosity = Verbosity(json_errors=asks_for_json(words))
    sys.excepthook = functools.partial(_report_unexpected, verbosity)
    arrived: list[int] = []
    try:
        with interruptible() as arrived:
            status = pnpvideo.main(words, prog_name="pnpvideo", standalone_mode=False, obj=verbosity)
    except BaseException as error:
        if arrived:  # whatever exception the signal's became on its way
            return _report_stop(arrived[0], verbosity)
        return _report_failure(error, verbosity)
    return status if isinstance(status, int) else 0


def _report_failure(error: BaseException, verbosity: Verbosity) -> int:
    """Print an error in one line and return its exit code; raise an unexpected one again."""
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return _report_stop(signal.SIGINT, verbosity)
    if isinstance(error, Terminated):  # raised before ``interruptible`` yielded its list
        return _report_stop(error.number, verbosity)
    if isinstance(error, click.ClickException):
        if verbosity.json_errors:
            name = "UsageError" if isinstance(error, click.UsageError) else type(error).__name__
            _complain(verbosity, name, error.exit_code, error.format_message())
        else:
            error.show()
        return error.exit_code
    if isinstance(error, PnPVideoError):
        _complain(verbosity, type(error).__name__, error.exit_code, str(error), error)
        return error.exit_code
    raise error


def _report_stop(number: int, verbosity: Verbosity) -> int:
    """Print that the command was interrupted or terminated by signal ``number``, and return its exit code."""
    how = "interrupted" if number == signal.SIGINT else "terminated"
    message = f"{how}; the same command goes on from what was kept" if verbosity.resumable else how
    _complain(verbosity, signal.Signals(number).name, 128 + number, message)
    return 128 + number


def _report_unexpected(
    verbosity: Verbosity, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an unexpected exception; the interpreter calls this before it exits with 1."""
    if verbosity.verbose and not verbosity.json_errors:
        traceback.print_exception(kind, error, trace)
    else:
        message = f"unexpected {kind.__name__}: {error}; -v shows where, please report it"
        _complain(verbosity, kind.__name__, 1, message, error)


def _complain(verbosity: Verbosity, name: str, code: int, message: str, error: BaseException | None = None) -> None:
    """Print an error as a line or, where events are JSON, as an object; with -v, where ``error`` comes from."""
    trace = "".join(traceback.format_exception(error)) if verbosity.verbose and error is not None else ""
    if verbosity.json_errors:
        record = {"event": "error", "error": name, "exit_code": code, "message": message}
        click.echo(json.dumps({**record, "traceback": trace} if trace else record), err=True)
    else:
        click.echo(f"{trace}pnpvideo: {printable(message)}", err=True)


if __name__ == "__main__":
    sys.exit(main())
