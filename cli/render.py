"""Show events: progress bars on a terminal, plain lines in a log, JSON lines for a program."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

import click

from pnpvideo.backends.download import spoken_bytes
from pnpvideo.events import Event, Notice, Progress, Report, StepPicture, ignore

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
PLAIN_SECONDS = 5.0  # between two lines of one stage
Clock = Callable[[], float]


@contextlib.contextmanager
def rendering(mode: str, *, quiet: bool, stream: TextIO) -> Iterator[Report]:
    """Yield a reporter that shows events on ``stream`` during the block.

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
    """Estimate the time left in the current stage from the speed since its first event."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._stage: tuple[str, int, int] | None = None
        self._first_done = 0
        self._first_seconds = 0.0

    def seconds_left(self, event: Progress) -> float | None:
        """Seconds until the stage ends; None at its first event, or if its total is unknown."""
        now = self._clock()
        if self._stage != _stage(event):
            self._stage, self._first_done, self._first_seconds = _stage(event), event.done, now
        done = event.done - self._first_done
        if done <= 0 or event.total == 0:
            return None
        return (now - self._first_seconds) / done * (event.total - event.done)


class Overall:
    """The share of the whole run that is done, and the time left, from the speed since work began.

    A share that is gained where a stage begins was not worked for: an earlier run left it in the store. It does not
    count for the speed.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._stage: tuple[str, int, int] | None = None
        self._first_seconds = 0.0
        self._worked = 0.0
        self.share: float | None = None
        """0 to 1, never falling; None before any event tells."""
        self.seconds_left: float | None = None
        """None while there is no telling."""

    def update(self, event: Progress) -> None:
        if event.overall is None:
            return
        now, before = self._clock(), self.share
        if before is None:
            self._first_seconds, before = now, event.overall
        self.share = max(before, min(1.0, event.overall))
        if self._stage == _stage(event):
            self._worked += self.share - before
        self._stage = _stage(event)
        if self._worked > 0:
            self.seconds_left = (now - self._first_seconds) / self._worked * (1 - self.share)


class Lines:
    """Write a line at the start and the end of each stage, and every few seconds in between.

    shown: which events to write.
    """

    def __init__(
        self, stream: TextIO, *, clock: Clock = time.monotonic, shown: Callable[[Event], bool] = lambda event: True
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._shown = shown
        self._pace, self._overall = Pace(clock), Overall(clock)
        self._stage: tuple[str, int, int] | None = None
        self._last_seconds = 0.0

    def __call__(self, event: Event) -> None:
        if not self._shown(event):
            return
        if isinstance(event, Notice):
            self._write(_printable(event.message))
        if not isinstance(event, Progress):
            return
        left = self._pace.seconds_left(event)
        self._overall.update(event)
        now = self._clock()
        begins = self._stage != _stage(event)
        if begins or event.done == event.total or now - self._last_seconds >= PLAIN_SECONDS:
            self._stage, self._last_seconds = _stage(event), now
            remaining = f", {spoken(left)} left" if left is not None and event.done != event.total else ""
            self._write(f"{_where(event)}: {_how_far(event)}{remaining}{self._of_the_whole()}")

    def _of_the_whole(self) -> str:
        if self._overall.share is None:
            return ""
        left = self._overall.seconds_left
        remaining = "" if left is None or self._overall.share == 1 else f", {spoken(left)} left"
        return f"; of the whole {percent(self._overall.share)}{remaining}"

    def _write(self, line: str) -> None:
        self._stream.write(f"pnpvideo: {line}\n")
        self._stream.flush()


class JsonLines:
    """Write a JSON object per line: the event's type as ``event``, its fields, and ``seconds_left`` (null: unknown).

    ``overall`` never falls, and ``overall_seconds_left`` is the time left of the whole run (null: unknown).
    """

    def __init__(self, stream: TextIO, *, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._pace, self._overall = Pace(clock), Overall(clock)

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepPicture):
            return
        record: dict[str, object] = {"event": type(event).__name__.lower(), **asdict(event)}
        if isinstance(event, Progress):
            self._overall.update(event)
            record["seconds_left"] = self._pace.seconds_left(event)
            record["overall"] = self._overall.share
            record["overall_seconds_left"] = self._overall.seconds_left
        self._stream.write(json.dumps(record) + "\n")
        self._stream.flush()


@contextlib.contextmanager
def bars(stream: TextIO) -> Iterator[Report]:
    """Show one bar for the whole run, and one for each stage of the current shot. rich itself respects NO_COLOR.

    At the end of the block the bar of the whole run stays, and notices come below it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    console = Console(file=stream)
    shown = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[how_far]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
    )
    pace, overall = Pace(), Overall()
    tasks: dict[tuple[str, int, int], TaskID] = {}
    whole: list[TaskID] = []

    def report(event: Event) -> None:
        if isinstance(event, Notice):
            console.print(Text(_printable(event.message)))
        if not isinstance(event, Progress):
            return
        overall.update(event)
        stage, left = _stage(event), pace.seconds_left(event)
        if stage not in tasks:
            for past in [past for past in tasks if past[1:] < stage[1:]]:
                shown.remove_task(tasks.pop(past))
            if overall.share is not None and not whole:
                whole.append(shown.add_task("the whole", total=1.0, how_far="", left=""))
            tasks[stage] = shown.add_task(_where(event), total=event.total or None, how_far="", left="")
        shown.update(
            tasks[stage],
            description=_where(event),
            completed=event.done,
            total=event.total or None,
            how_far=_how_far(event),
            left=_left(left if event.done != event.total else None),
        )
        if whole and overall.share is not None:
            remaining = _left(overall.seconds_left if overall.share < 1 else None)
            shown.update(whole[0], completed=overall.share, how_far=percent(overall.share), left=remaining)

    with shown:
        yield report
        for task in tasks.values() if whole else ():
            shown.remove_task(task)


def spoken(seconds: float) -> str:
    """Such as "45 s", "12 min" or "3 h 20 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def percent(share: float) -> str:
    """Such as "34%"; 100% is all, and nothing less."""
    return f"{int(100 * share)}%"


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f"{spoken(seconds)} left"


def _stage(event: Progress) -> tuple[str, int, int]:
    return event.stage, event.shot, event.window


def _where(event: Progress) -> str:
    drawings = f" ({event.frames} drawing{'s' * (event.frames != 1)})" if event.frames else ""
    of = f" of {event.shots}" if event.shots else ""
    shot = f"shot {event.shot}{of}, " if event.shot else ""
    window = f"window {event.window}, " if event.window > 1 else ""
    return f"{shot}{window}{event.stage}{drawings}"


def _how_far(event: Progress) -> str:
    if event.unit == "byte":
        return spoken_bytes(event.done) + (f" of {spoken_bytes(event.total)}" if event.total else "")
    if not event.shot and event.total <= 1 and event.done in (0, event.total):
        return f"{event.unit} ready" if event.done else f"{event.unit} ..."
    return f"{event.unit} {event.done}" + (f" of {event.total}" if event.total else "")


def _printable(text: str) -> str:
    from pnpvideo.errors import printable

    return printable(text)
