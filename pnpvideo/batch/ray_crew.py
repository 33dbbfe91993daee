"""The workers of a batch on the machines of a Ray cluster: started where there is room, and left out where they cannot
work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pnpvideo.batch.backlog import ModelKey
from pnpvideo.batch.machines import Machines
from pnpvideo.batch.ray_worker import Hello, Worker, versions
from pnpvideo.batch.reach import Reach
from pnpvideo.batch.rows import Row
from pnpvideo.errors import DeviceError, InputError, PnPVideoError, printable
from pnpvideo.events import Notice, Report


@dataclass(eq=False)
class Remote:
    """A worker as the driver sees it. reply: what it is asked now; None: it is idle. host: "" until it has answered.

    row: what it translates. helps: a row of another worker on whose windows it works. stores: folders of stores that it
    shares with the driver's machine.
    """

    actor: Any
    node: str
    reply: Any = None
    host: str = ""
    row: Row | None = None
    helps: Row | None = None
    loaded: ModelKey | None = None
    stores: tuple[str, ...] = ()

    def shares(self, row: Row, other: Remote) -> bool:
        """Whether the store of a row is the same for this worker and another one."""
        store = row.options.runtime.store
        return self.node == other.node or (store is not None and str(store) in {*self.stores} & {*other.stores})


class Crew:
    """All workers. reach: what each must see. Machines may leave and join meanwhile."""

    def __init__(self, ray: ModuleType, rows: Sequence[Row], reach: Reach, report: Report) -> None:
        import torch

        self._ray, self._reach, self._report = ray, reach, report
        self._threads, self._versions = torch.get_num_threads(), versions()
        asks_for_gpu = any(row.options.runtime.device in ("auto", "cuda") for row in rows)
        self.machines = Machines(ray, self._threads, asks_for_gpu)
        self.workers: list[Remote] = []
        self._deserted = False

    @property
    def places(self) -> int:
        """How many workers the cluster has room for."""
        return sum(each.count for each in self.machines.places().values())

    def hire(self, wanted: int) -> None:
        """Start workers where the cluster has room, up to ``wanted`` that have not answered yet."""
        wanted -= sum(not worker.host for worker in self.workers)
        for node, places in self.machines.places().items() if wanted > 0 else ():
            free = places.count - sum(worker.node == node for worker in self.workers)
            for _ in range(min(free, wanted)):
                actor = self.machines.start(Worker, node, places, (os.getcwd(), self._threads))
                self.workers.append(Remote(actor, node, reply=actor.hello.remote(self._reach)))
                wanted -= 1

    def met(self, worker: Remote, hello: Hello) -> None:
        """Count on a worker that has answered, unless its machine cannot work on these rows."""
        worker.host, worker.stores, worker.reply = hello.host, hello.stores, None
        self._say_deserted(False)
        other = {name: found for name, found in hello.versions.items() if found != self._versions.get(name)}
        shown = ", ".join(f"{name} {found}, not {self._versions.get(name)}" for name, found in other.items())
        if hello.unseen:
            more = f" and {len(hello.unseen) - 1} more" if len(hello.unseen) > 1 else ""
            said = f"{hello.host} does not see {printable(hello.unseen[0])}{more} as this machine does"
            hint = "put inputs, outputs and models on a folder that all machines have under the same path"
            self.leave_out(worker, InputError(f"{said}; {hint}"))
        elif "pnpvideo" in other:
            self.leave_out(worker, DeviceError(f"{hello.host} has {shown}; install the same version"))
        elif other:
            self._report(Notice(message=f"{hello.host} has {shown}: last bits of its results may be others"))

    def leave_out(self, worker: Remote, error: PnPVideoError) -> None:
        """End a worker, and start none on its machine any more."""
        self._ray.kill(worker.actor)
        self.forget(worker)
        if self.machines.leave_out(worker.node, error):
            self._report(Notice(message=f"a machine is left out: {error}"))

    def forget(self, worker: Remote) -> None:
        """Count on a worker no more."""
        if worker in self.workers:
            self.workers.remove(worker)

    def check(self) -> None:
        """Raise what is wrong with the machines if all are left out; say once if there is none."""
        self.machines.check()
        self._say_deserted(not self.places)

    def end(self) -> None:
        for worker in self.workers:
            self._ray.kill(worker.actor)

    def _say_deserted(self, deserted: bool) -> None:
        if deserted != self._deserted:
            self._deserted = deserted
            gone = "no machine of the cluster is left that has room for a worker; the batch waits for new ones"
            self._report(Notice(message=gone if deserted else "a machine has joined the cluster; work goes on"))
