"""The machines of a Ray cluster: how many workers each has room for, and which are left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pnpvideo.errors import DeviceError, InputError

START_LOSSES = 3
"""How many of the workers of a machine may end before they have answered."""


@dataclass(frozen=True)
class Places:
    """Room on one machine. count: of workers. needs: what each takes of Ray's resources."""

    count: int
    needs: dict[str, float]


class Machines:
    """threads: of a worker. asks_for_gpu: whether a GPU is used if the cluster has any."""

    def __init__(self, ray: ModuleType, threads: int, asks_for_gpu: bool) -> None:
        self._ray, self._threads, self._asks_for_gpu = ray, threads, asks_for_gpu
        self._reasons: dict[str, tuple[type[Exception], str]] = {}
        self._lost_starts: Counter[str] = Counter()

    def alive(self) -> dict[str, Mapping[str, float]]:
        """What the machines of the cluster have, by their ids."""
        return {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}

    def places(self) -> dict[str, Places]:
        """Room for workers, a GPU or a processor a thread each, by the machines' ids.

        If the cluster has GPUs and rows want them, machines without one have no room.
        """
        alive, found = self.alive(), dict[str, Places]()
        gpu = self._asks_for_gpu and any(has.get("GPU", 0) >= 1 for has in alive.values())
        for node, has in alive.items():
            processors, gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0))
            if node in self._reasons:
                continue
            if gpu and gpus:
                found[node] = Places(gpus, {"num_gpus": 1, "num_cpus": min(1, processors)})
            elif not gpu and processors:
                each = min(self._threads, processors)
                found[node] = Places(processors // each, {"num_gpus": 0, "num_cpus": each})
        return found

    def start(self, owner: type, node: str, places: Places, arguments: tuple[Any, ...]) -> Any:
        """An actor on one machine; Ray does not start it again when it ends."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        return self._ray.remote(owner).options(scheduling_strategy=there, **places.needs).remote(*arguments)

    def leave_out(self, node: str, error: Exception) -> bool:
        """Start no worker on a machine any more; whether that is new. error: why, raised if no machine is left."""
        new = node not in self._reasons
        self._reasons.setdefault(node, (type(error), str(error)))
        return new

    def starts_fail(self, node: str) -> bool:
        """Count a worker that ended before it answered; whether its machine has lost too many of them."""
        self._lost_starts[node] += 1
        return self._lost_starts[node] >= START_LOSSES

    def check(self) -> None:
        """Raise what is wrong with the machines if all are left out; a cluster without any may get new ones."""
        alive = self.alive()
        reasons = [reason for node, reason in self._reasons.items() if node in alive]
        if reasons and not self.places():
            unseen = any(kind is InputError for kind, _ in reasons)
            said = "; ".join(dict.fromkeys(reason for _, reason in reasons))
            raise (InputError if unseen else DeviceError)(f"no machine of the cluster can work on these rows: {said}")
