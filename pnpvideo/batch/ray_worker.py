"""The worker of a Ray cluster: a process that has one model loaded and translates one row at a time.

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
from pnpvideo.batch.reach import Reach
from pnpvideo.batch.rows import Row
from pnpvideo.batch.work import Models, Outcome, translate_row
from pnpvideo.events import Event, StepPicture

WAIT_SECONDS = 1.0
MOST_EVENTS = 200


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What a worker says of itself. host: its machine. unseen: paths that it cannot see. versions: of what decides the
    bits of a result."""

    host: str
    unseen: tuple[str, ...]
    versions: dict[str, str]


class Worker:
    """An actor. folder: the driver's working folder, from which relative paths start. threads: of torch, as many as the
    driver's, because on a CPU their number decides the last bits of a result."""

    def __init__(self, folder: str, threads: int) -> None:
        with contextlib.suppress(OSError):  # then the paths that start there are found unseen
            os.chdir(folder)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # Ray sets it by the actor's processors
        self._threads = threads
        self._models = Models()
        self._said: queue.SimpleQueue[Event | Outcome] = queue.SimpleQueue()

    def hello(self, reach: Reach) -> Hello:
        return Hello(host=socket.gethostname(), unseen=tuple(reach.unseen()), versions=versions())

    def begin(self, row: Row) -> None:
        """Start to translate a row, in a thread of its own; ``news`` tells how it goes on."""
        threading.Thread(target=self._translate, args=(row,), name="row", daemon=True).start()

    def news(self) -> tuple[list[Event], Outcome | None]:
        """Events since the last call, and the outcome once the row has ended. Waits a second for the first."""
        events: list[Event] = []
        seconds = WAIT_SECONDS
        with contextlib.suppress(queue.Empty):
            while len(events) < MOST_EVENTS:
                said = self._said.get(timeout=seconds)
                if isinstance(said, Outcome):
                    return events, said
                events.append(said)
                seconds = 0.0
        return events, None

    def _translate(self, row: Row) -> None:
        import torch

        torch.set_num_threads(self._threads)
        self._said.put(translate_row(row, self._models, self._report))

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
