"""Events on the terminal: bars for a person, lines for a log, JSON for a program. All of it on stderr."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

import click

from pnpvideo.events import Event, Notice, Progress, Report, ignore

if TYPE_CHECKING:
    from rich.progress import TaskID

MODES = ("auto", "plain", "json", "none")
progress_option = click.option(
    "--progress",
    type=click.Choice(MODES),
    default="auto",
    envvar="PNPVIDEO_PROGRESS",
    help="How progress is shown; auto: bars on a terminal, plain lines elsewhere.  [default: auto]",
)
PLAIN_SECONDS = 5.0
Clock = Callable[[], float]


@contextlib.contextmanager
def rendering(mode: str, *, quiet: bool, stream: TextIO) -> Iterator[Report]:
    """A reporter that shows events on ``stream`` for as long as the context lasts.

    mode: "auto" (bars on a terminal, lines elsewhere), "plain", "json" (one object a line) or "none" (notices
    only). quiet: nothing at all.
    """
    if quiet:
        yield ignore
    elif mode == "json":
        yield JsonLines(stream)
    elif mode == "none":
        yield Lines(stream, shown=lambda event: isinstance(event, Notice))
    elif mode == "auto" and stream.isatty():
        with bars(stream) as report:
            yield report
    else:
        yield Lines(stream)


class Pace:
    """Time left in the stage under way, from the speed since its first event."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._stage: tuple[str, int, int] | None = None
        self._first_done = 0
        self._first_seconds = 0.0

    def seconds_left(self, event: Progress) -> float | None:
        """None while there is no telling: at the first event of a stage, or when its total is unknown."""
        now = self._clock()
        if self._stage != (event.stage, event.shot, event.window):
            self._stage, self._first_done, self._first_seconds = (
                (event.stage, event.shot, event.window),
                event.done,
                now,
            )
        done = event.done - self._first_done
        if done <= 0 or event.total == 0:
            return None
        return (now - self._first_seconds) / done * (event.total - event.done)


class Lines:
    """A line at the start and at the end of each stage, and every few seconds in between."""

    def __init__(
        self, stream: TextIO, *, clock: Clock = time.monotonic, shown: Callable[[Event], bool] = lambda event: True
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._shown = shown
        self._pace = Pace(clock)
        self._stage: tuple[str, int, int] | None = None
        self._last_seconds = 0.0

    def __call__(self, event: Event) -> None:
        if not self._shown(event):
            return
        if isinstance(event, Notice):
            self._write(_printable(event.message))
            return
        left = self._pace.seconds_left(event)
        now = self._clock()
        begins = self._stage != (event.stage, event.shot, event.window)
        if begins or event.done == event.total or now - self._last_seconds >= PLAIN_SECONDS:
            self._stage, self._last_seconds = (event.stage, event.shot, event.window), now
            remaining = f", {left:.0f} s left" if left is not None and event.done != event.total else ""
            self._write(f"{_where(event)}: {_how_far(event)}{remaining}")

    def _write(self, line: str) -> None:
        self._stream.write(f"pnpvideo: {line}\n")
        self._stream.flush()


class JsonLines:
    """One JSON object a line: the event's fields, its type as ``event``, and ``seconds_left`` (null: not known)."""

    def __init__(self, stream: TextIO, *, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._pace = Pace(clock)

    def __call__(self, event: Event) -> None:
        record: dict[str, object] = {"event": type(event).__name__.lower(), **asdict(event)}
        if isinstance(event, Progress):
            record["seconds_left"] = self._pace.seconds_left(event)
        self._stream.write(json.dumps(record) + "\n")
        self._stream.flush()


@contextlib.contextmanager
def bars(stream: TextIO) -> Iterator[Report]:
    """One bar for each stage of the shot under way. NO_COLOR is honoured, as rich does by itself."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    console = Console(file=stream)
    shown = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[how_far]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    tasks: dict[tuple[str, int, int], TaskID] = {}

    def report(event: Event) -> None:
        if isinstance(event, Notice):
            console.print(Text(_printable(event.message)))
            return
        stage = (event.stage, event.shot, event.window)
        if stage not in tasks:
            for past in [past for past in tasks if past[1:] < (event.shot, event.window)]:
                shown.remove_task(tasks.pop(past))
            tasks[stage] = shown.add_task(_where(event), total=event.total or None, how_far="")
        shown.update(tasks[stage], completed=event.done, total=event.total or None, how_far=_how_far(event))

    with shown:
        yield report


def _where(event: Progress) -> str:
    drawings = f" ({event.frames} drawing{'s' * (event.frames != 1)})" if event.frames else ""
    shot = "" if event.stage == "load" else f"shot {event.shot + 1}, "
    window = f"window {event.window + 1}, " if event.window else ""
    return f"{shot}{window}{event.stage}{drawings}"


def _how_far(event: Progress) -> str:
    return f"{event.unit} {event.done}" + (f" of {event.total}" if event.total else "")


def _printable(text: str) -> str:
    from pnpvideo.errors import printable

    return printable(text)
