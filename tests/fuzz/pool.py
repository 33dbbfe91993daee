"""Worker processes that are asked for outcomes, and replaced where an input hangs or kills them."""

import multiprocessing
import shutil
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tests.orphans import adopt, end_children

from .readers import Reader
from .seeds import Seed
from .worker import MOST_BYTES, Outcome, make, serve

HANG_SECONDS = 20.0


class Worker:
    """A process, and the index that it works on."""

    def __init__(
        self, seeds: Sequence[Seed], readers: Mapping[str, Reader], seed: int, home: Path, most_bytes: int
    ) -> None:
        self.home, self.index, self.deadline, self.attempt = home, -1, 0.0, 1
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        context = multiprocessing.get_context("fork")  # what is loaded is loaded once, and any function is a reader
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, seeds, readers, seed, home, most_bytes), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, index: int, seconds: float, attempt: int = 1) -> None:
        self.index, self.deadline, self.attempt = index, time.monotonic() + seconds, attempt
        self.connection.send(index)

    def stop(self) -> None:
        """Ends the process and what it left running, which are our children then."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        end_children(f"TMPDIR={self.home}/tmp")


def outcomes(
    indices: Iterable[int],
    seeds: Sequence[Seed],
    readers: Mapping[str, Reader],
    seed: int,
    home: Path,
    workers: int,
    hang_seconds: float = HANG_SECONDS,
    most_bytes: int = MOST_BYTES,
) -> Iterator[Outcome]:
    """The outcome of each input, in the order in which they are done. home: a folder for the workers' files.

    An input that is not read within ``hang_seconds`` has a second try, because the machine may have been busy.
    """
    adopt()
    waiting = iter(indices)
    pool = [Worker(seeds, readers, seed, home / str(n), most_bytes) for n in range(workers)]
    try:
        busy = [worker for worker in pool if _next(worker, waiting, hang_seconds)]
        while busy:
            first = min(worker.deadline for worker in busy)
            wait([worker.connection for worker in busy], max(0.0, first - time.monotonic()))
            for worker in list(busy):
                done = _answer(worker, seeds, seed)
                if done is None:
                    continue
                hung = done.failure.startswith("hang")
                if hung or done.failure.startswith(("crash", "memory")):
                    worker.stop()
                    attempt, index = worker.attempt, worker.index
                    busy.remove(worker)
                    pool.remove(worker)
                    worker = Worker(seeds, readers, seed, worker.home, most_bytes)
                    pool.append(worker)
                    busy.append(worker)
                    if hung and attempt == 1:
                        worker.ask(index, hang_seconds, 2)
                        continue
                yield done
                if not _next(worker, waiting, hang_seconds):
                    busy.remove(worker)
    finally:
        for worker in pool:
            worker.stop()


def _next(worker: Worker, waiting: Iterator[int], seconds: float) -> bool:
    index = next(waiting, None)
    if index is not None:
        worker.ask(index, seconds)
    return index is not None


def _answer(worker: Worker, seeds: Sequence[Seed], seed: int) -> Outcome | None:
    """What the worker says, or what its silence means; None: nothing yet."""
    try:
        if worker.connection.poll():
            answer: Outcome = worker.connection.recv()
            return answer
    except (EOFError, ConnectionError):
        worker.process.join()
        code = worker.process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit {code}"
        said = (worker.home / "said").read_text("utf-8", "replace")
        return Outcome(worker.index, make(seeds, seed, worker.index)[0].format, False, f"crash: {how}", said)
    if time.monotonic() < worker.deadline:
        return None
    return Outcome(worker.index, make(seeds, seed, worker.index)[0].format, False, "hang: stopped", "")
