"""The worker of a Ray cluster: a process that has one model loaded, and translates or helps with one row at a time.

It imports nothing of Ray, and torch only once the number of threads is set.
"""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import socket
import threading
from dataclasses import dataclass

from pnpvideo import __version__
from pnpvideo.batch.helping import help_with
from pnpvideo.batch.reach import Reach
from pnpvideo.batch.rows import Row
from pnpvideo.batch.work import Models, Outcome, translate_row
from pnpvideo.events import Event, StepPicture

WAIT_SECONDS = 1.0
MOST_EVENTS = 200


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What a worker says of itself. host: its machine. unseen: paths that it cannot see. versions: of what decides the
    bits of a result. stores: folders of stores that it shares with the driver's machine."""

    host: str
    unseen: tuple[str, ...]
    versions: dict[str, str]
    stores: tuple[str, ...] = ()


@dataclass(frozen=True)
class Helped:
    """A worker has no more to do at the windows of a row."""


class Worker:
    """An actor. folder: the driver's working folder, from which relative paths start. threads: of torch, as many as the
    driver's, because on a CPU their number decides the last bits of a result."""

    def __init__(self, folder: str, threads: int) -> None:
        with contextlib.suppress(OSError):  # then the paths that start there are found unseen
            os.chdir(folder)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # Ray sets it by the actor's processors
        self._threads = threads
        self._models = Models()
        self._said: queue.SimpleQueue[Event | Outcome | Helped] = queue.SimpleQueue()
        self._unwanted = threading.Event()

    def hello(self, reach: Reach) -> Hello:
        seen, stores = tuple(reach.unseen()), reach.shared_stores()
        return Hello(host=socket.gethostname(), unseen=seen, versions=versions(), stores=stores)

    def begin(self, row: Row) -> None:
        """Start to translate a row, in a thread of its own; ``news`` tells how it goes on."""
        threading.Thread(target=self._translate, args=(row,), name="row", daemon=True).start()

    def help(self, row: Row) -> None:
        """Start to work on windows of a row that another worker translates; ``news`` tells how it goes on."""
        self._unwanted.clear()
        threading.Thread(target=self._help, args=(row,), name="windows", daemon=True).start()

    def stop_helping(self) -> None:
        """Leave the row that is helped with, because it has ended."""
        self._unwanted.set()

    def news(self) -> tuple[list[Event], Outcome | Helped | None]:
        """Events since the last call, and what came of the row once that is over. Waits a second for the first."""
        events: list[Event] = []
        seconds = WAIT_SECONDS
        with contextlib.suppress(queue.Empty):
            while len(events) < MOST_EVENTS:
                said = self._said.get(timeout=seconds)
                if isinstance(said, Outcome | Helped):
                    return events, said
                events.append(said)
                seconds = 0.0
        return events, None

    def _translate(self, row: Row) -> None:
        self._set_threads()
        self._said.put(translate_row(row, self._models, self._report, shared=True))

    def _help(self, row: Row) -> None:
        from pnpvideo.engine.sharing import Stopped

        def check() -> None:
            if self._unwanted.is_set():
                raise Stopped

        self._set_threads()
        with contextlib.suppress(Exception):  # the worker that translates the row meets it too, and says it
            help_with(row, self._models.of(row.options), self._report, check)
        self._said.put(Helped())

    def _set_threads(self) -> None:
        import torch

        torch.set_num_threads(self._threads)

    def _report(self, event: Event) -> None:
        if not isinstance(event, StepPicture):  # pictures are written by the worker, and shown by nobody
            self._said.put(event)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the bits of a result."""
    from importlib.metadata import version

    from pnpvideo.report import LIBRARIES

    return {
        "pnpvideo": __version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }
