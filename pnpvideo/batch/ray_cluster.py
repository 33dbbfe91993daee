"""Run the rows of a batch on a Ray cluster: a worker a GPU, or a share of processors; idle ones help with long rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from pnpvideo.batch.backlog import Backlog
from pnpvideo.batch.division import Divisions, Underway, row_to_help, workers_wanted
from pnpvideo.batch.ray_crew import Crew, Remote
from pnpvideo.batch.ray_session import check_address, session
from pnpvideo.batch.ray_worker import Hello, Helped
from pnpvideo.batch.reach import Reach, reach_of
from pnpvideo.batch.rows import Row
from pnpvideo.batch.work import Outcome, Watcher, outcome_of
from pnpvideo.errors import DeviceError, OptionError, printable
from pnpvideo.events import Event, Notice, Progress

WORKER_LOSSES, MACHINE_LOSSES = 3, 10
"""After how many lost workers, and how many lost machines, a row has failed. A row that has cost WORKER_LOSSES helpers
gets no more of them."""
WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class RayCluster:
    """The engine of ``pnpvideo batch --engine ray``. address: see ``ray_session.session``.

    Every worker keeps a model loaded. One without a row helps with the windows of another's, where both have the same
    store. A row whose worker is lost is done again by another; one that loses WORKER_LOSSES workers fails. Machines may
    leave and join the cluster meanwhile. An exception, such as Ctrl-C, ends all workers.
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


class _Driver:
    """Gives rows to workers and hears how they go on, one answer of a worker at a time."""

    def __init__(self, ray: ModuleType, rows: Sequence[Row], reach: Reach, watcher: Watcher) -> None:
        self.ray, self.watcher = ray, watcher
        self.backlog = Backlog(rows)
        self.crew = Crew(ray, rows, reach, watcher.report)
        self.worker_losses, self.machine_losses = Counter[int](), Counter[int]()
        self.divisions = Divisions(WORKER_LOSSES)
        self.said_unshared = False

    def run(self) -> None:
        workers = self.crew.workers
        try:
            while self.backlog or any(worker.row for worker in workers):
                self._hire()
                asked = {worker.reply: worker for worker in workers if worker.reply is not None}
                if not asked:
                    self.crew.check()
                    time.sleep(WAIT_SECONDS)
                    continue
                ready, _ = self.ray.wait([*asked], num_returns=1, timeout=WAIT_SECONDS)
                for reply in ready:
                    self._hear(asked[reply], reply)
        finally:
            self.crew.end()

    def _hire(self) -> None:
        """Give work to idle workers, and start workers for the rest of it where the cluster has room."""
        for worker in self.crew.workers:
            if worker.reply is None:
                self._assign(worker)
        wanted = len(self.backlog)
        if wanted < self.crew.places:
            wanted = workers_wanted([self.divisions.windows(row) for row in self.backlog], self._underway())
        self.crew.hire(wanted)

    def _underway(self, helper: Remote | None = None) -> list[Underway]:
        """The rows that are translated; those that ``helper`` can help with, if there is one."""
        found = []
        for worker in self.crew.workers:
            if (row := worker.row) is not None and (helper is None or helper.shares(row, worker)):
                found.append(self.divisions.underway(row, 1 + len(self._helpers(row))))
        return found

    def _helpers(self, row: Row) -> list[Remote]:
        return [each for each in self.crew.workers if each.helps is not None and each.helps.number == row.number]

    def _assign(self, worker: Remote) -> None:
        others = (other.loaded for other in self.crew.workers if other is not worker)
        if (row := self.backlog.take(worker.loaded, others)) is not None:
            worker.row, worker.loaded = row, row.options.model_key
            self.divisions.begun(row)
            self.watcher.started(row)
            worker.actor.begin.remote(row)
            worker.reply = worker.actor.news.remote()
        elif (row := row_to_help(self._underway(worker), worker.loaded)) is not None:
            worker.helps, worker.loaded = row, row.options.model_key
            worker.actor.help.remote(row)
            worker.reply = worker.actor.news.remote()
        elif not self.said_unshared and (row := row_to_help(self._underway(), worker.loaded)) is not None:
            self.said_unshared = True
            why = "it has not the same store; name a folder that all machines share with --store"
            self.watcher.report(Notice(message=f"{row}: {worker.host} cannot help with its windows: {why}"))

    def _hear(self, worker: Remote, reply: Any) -> None:
        from ray.exceptions import RayError, RayTaskError

        try:
            said = self.ray.get(reply)
        except RayTaskError as error:  # not of a row, whose errors are outcomes
            self._put_back(worker)
            self.crew.leave_out(worker, DeviceError(f"a worker failed at what it was asked: {_line(error)}"))
        except RayError as error:
            self._lost(worker, error)
        else:
            if isinstance(said, Hello):
                self.crew.met(worker, said)
            elif (row := worker.row or worker.helps) is not None:
                self._told(worker, row, *said)

    def _told(self, worker: Remote, row: Row, events: Sequence[Event], end: Outcome | Helped | None) -> None:
        if any(other.row is not None and other.row.number == row.number for other in self.crew.workers):
            for event in events:
                if isinstance(event, Progress) and event.overall is not None:
                    helper = worker if worker.row is None else None
                    event = replace(event, overall=self.divisions.heard(row, helper, event.overall))
                self.watcher.heard(row, event)
        if end is None:
            worker.reply = worker.actor.news.remote()
            return
        worker.row = worker.helps = worker.reply = None
        if isinstance(end, Helped):
            self.divisions.helped(row)
        else:
            self._ended(row, end)

    def _ended(self, row: Row, outcome: Outcome) -> None:
        self.watcher.ended(row, outcome)
        for helper in self._helpers(row):
            helper.actor.stop_helping.remote()

    def _lost(self, worker: Remote, error: Exception) -> None:
        """Do a row again whose worker has ended, or let it fail; count a worker that never began."""
        self.crew.forget(worker)
        lives, row, helps = worker.node in self.crew.machines.alive(), worker.row, worker.helps
        what = f"the worker on {worker.host} ended" if lives else f"the machine {worker.host} left the cluster"
        if helps is not None:
            self.divisions.lost(helps)
            self.watcher.report(Notice(message=f"{helps}: {what}; the window that it worked on is done again"))
        elif row is None and lives and self.crew.machines.starts_fail(worker.node):
            self.crew.leave_out(worker, DeviceError(f"workers do not start there: {_line(error)}"))
        if row is None:
            return
        losses, most = (self.worker_losses, WORKER_LOSSES) if lives else (self.machine_losses, MACHINE_LOSSES)
        losses[row.number] += 1
        if losses[row.number] < most:
            self.watcher.report(Notice(message=f"{row}: {what}; the row is done again"))
            self._put_back(worker)
            return
        hint = "if memory ran out, try --memory, a smaller --size or --window"
        said = f"{what}, for the {most}. time with this row: {_line(error)}; {hint}"
        self._ended(row, outcome_of(row, "failed", error=said, exit_code=DeviceError.exit_code))

    def _put_back(self, worker: Remote) -> None:
        """Let another worker take the row of one that is gone."""
        if worker.row is not None:
            self.backlog.put_back(worker.row.begun())
            worker.row = None


def _line(error: Exception) -> str:
    """The first line of an error of Ray that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[0]) if lines else type(error).__name__
