"""Run the rows of a batch on a Ray cluster: a worker a GPU, or a share of processors, and rows as the units of work."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pnpvideo.batch.backlog import Backlog, ModelKey
from pnpvideo.batch.machines import Machines
from pnpvideo.batch.ray_session import check_address, session
from pnpvideo.batch.ray_worker import Hello, Worker, versions
from pnpvideo.batch.reach import Reach, reach_of
from pnpvideo.batch.rows import Row
from pnpvideo.batch.work import Outcome, Watcher, outcome_of
from pnpvideo.errors import DeviceError, InputError, OptionError, PnPVideoError, printable
from pnpvideo.events import Event, Notice

WORKER_LOSSES, MACHINE_LOSSES = 3, 10
"""After how many lost workers, and how many lost machines, a row has failed."""
WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class RayCluster:
    """The engine of ``pnpvideo batch --engine ray``. address: see ``ray_session.session``.

    Every worker keeps a model loaded. A row whose worker is lost is done again by another; one that loses WORKER_LOSSES
    workers fails. Machines may leave and join the cluster meanwhile. An exception, such as Ctrl-C, ends all workers.
    """

    address: str | None = None

    def run(self, rows: Sequence[Row], watcher: Watcher) -> None:
        """Raises OptionError without Ray or for a device with a number, DeviceError without a cluster or a worker,
        InputError if no machine sees the files."""
        check_address(self.address)
        for row in rows:
            if ":" in (device := row.options.runtime.device):
                kind = device.partition(":")[0]
                raise OptionError(f"{row}: device is {device!r}; Ray gives each worker its own device: say {kind}")
        with reach_of(rows) as reach, session(self.address) as ray:
            _Driver(ray, rows, reach, watcher).run()


@dataclass(eq=False)
class _Remote:
    """A worker as the driver sees it. reply: what it is asked now; None: it is idle. host: "" until it has answered."""

    actor: Any
    node: str
    reply: Any = None
    host: str = ""
    row: Row | None = None
    loaded: ModelKey | None = None


class _Driver:
    """Gives rows to workers and hears how they go on, one answer of a worker at a time."""

    def __init__(self, ray: ModuleType, rows: Sequence[Row], reach: Reach, watcher: Watcher) -> None:
        import torch

        self.ray, self.reach, self.watcher = ray, reach, watcher
        self.backlog = Backlog(rows)
        self.threads, self.versions = torch.get_num_threads(), versions()
        asks_for_gpu = any(row.options.runtime.device in ("auto", "cuda") for row in rows)
        self.machines = Machines(ray, self.threads, asks_for_gpu)
        self.workers: list[_Remote] = []
        self.worker_losses, self.machine_losses = Counter[int](), Counter[int]()

    def run(self) -> None:
        try:
            while self.backlog or any(worker.row for worker in self.workers):
                self._hire()
                asked = {worker.reply: worker for worker in self.workers if worker.reply is not None}
                if not asked:
                    self.machines.check()
                    time.sleep(WAIT_SECONDS)
                    continue
                ready, _ = self.ray.wait([*asked], num_returns=1, timeout=WAIT_SECONDS)
                for reply in ready:
                    self._hear(asked[reply], reply)
        finally:
            for worker in self.workers:
                self.ray.kill(worker.actor)

    def _hire(self) -> None:
        """Give rows to idle workers, and start workers for the other rows where the cluster has room."""
        for worker in self.workers:
            if worker.reply is None:
                self._assign(worker)
        wanted = len(self.backlog) - sum(not worker.host for worker in self.workers)
        for node, places in self.machines.places().items() if wanted > 0 else ():
            free = places.count - sum(worker.node == node for worker in self.workers)
            for _ in range(min(free, wanted)):
                actor = self.machines.start(Worker, node, places, (os.getcwd(), self.threads))
                self.workers.append(_Remote(actor, node, reply=actor.hello.remote(self.reach)))
                wanted -= 1

    def _assign(self, worker: _Remote) -> None:
        others = (other.loaded for other in self.workers if other is not worker)
        if (row := self.backlog.take(worker.loaded, others)) is not None:
            worker.row, worker.loaded = row, row.options.model_key
            self.watcher.started(row)
            worker.actor.begin.remote(row)
            worker.reply = worker.actor.news.remote()

    def _hear(self, worker: _Remote, reply: Any) -> None:
        from ray.exceptions import RayError, RayTaskError

        try:
            said = self.ray.get(reply)
        except RayTaskError as error:  # not of a row, whose errors are outcomes
            self._leave_out(worker, DeviceError(f"a worker failed at what it was asked: {_line(error)}"))
        except RayError as error:
            self._lost(worker, error)
        else:
            if isinstance(said, Hello):
                self._met(worker, said)
            elif worker.row is not None:
                self._told(worker, worker.row, *said)

    def _told(self, worker: _Remote, row: Row, events: Sequence[Event], outcome: Outcome | None) -> None:
        for event in events:
            self.watcher.heard(row, event)
        if outcome is None:
            worker.reply = worker.actor.news.remote()
        else:
            worker.row = worker.reply = None
            self.watcher.ended(row, outcome)

    def _met(self, worker: _Remote, hello: Hello) -> None:
        worker.host, worker.reply = hello.host, None
        other = {name: found for name, found in hello.versions.items() if found != self.versions.get(name)}
        shown = ", ".join(f"{name} {found}, not {self.versions.get(name)}" for name, found in other.items())
        if hello.unseen:
            more = f" and {len(hello.unseen) - 1} more" if len(hello.unseen) > 1 else ""
            said = f"{hello.host} does not see {printable(hello.unseen[0])}{more} as this machine does"
            hint = "put inputs, outputs and models on a folder that all machines have under the same path"
            self._leave_out(worker, InputError(f"{said}; {hint}"))
        elif "pnpvideo" in other:
            self._leave_out(worker, DeviceError(f"{hello.host} has {shown}; install the same version"))
        elif other:
            self.watcher.report(Notice(message=f"{hello.host} has {shown}: last bits of its results may be others"))

    def _leave_out(self, worker: _Remote, error: PnPVideoError) -> None:
        """End a worker, and start none on its machine any more."""
        self.ray.kill(worker.actor)
        self._forget(worker)
        if self.machines.leave_out(worker.node, error):
            self.watcher.report(Notice(message=f"a machine is left out: {error}"))

    def _lost(self, worker: _Remote, error: Exception) -> None:
        """Do a row again whose worker has ended, or let it fail; count a worker that never began."""
        lives, row = worker.node in self.machines.alive(), worker.row
        if row is None:
            if lives and self.machines.starts_fail(worker.node):
                self._leave_out(worker, DeviceError(f"workers do not start there: {_line(error)}"))
            self._forget(worker)
            return
        what = f"the worker on {worker.host} ended" if lives else f"the machine {worker.host} left the cluster"
        losses, most = (self.worker_losses, WORKER_LOSSES) if lives else (self.machine_losses, MACHINE_LOSSES)
        losses[row.number] += 1
        if losses[row.number] < most:
            self.watcher.report(Notice(message=f"{row}: {what}; the row is done again"))
            self._forget(worker)
            return
        worker.row = None
        self._forget(worker)
        hint = "if memory ran out, try --memory, a smaller --size or --window"
        said = f"{what}, for the {most}. time with this row: {_line(error)}; {hint}"
        self.watcher.ended(row, outcome_of(row, "failed", error=said, exit_code=DeviceError.exit_code))

    def _forget(self, worker: _Remote) -> None:
        """Count on a worker no more; another one takes its row."""
        if worker in self.workers:
            self.workers.remove(worker)
        if worker.row is not None:
            self.backlog.put_back(worker.row.begun())
            worker.row = None


def _line(error: Exception) -> str:
    """The first line of an error of Ray that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[0]) if lines else type(error).__name__
