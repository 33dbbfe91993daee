"""The workers of a cluster as the driver counts on them; a cluster is described by the answers of ``ray`` alone."""

from types import ModuleType
from typing import Any

import pytest

from pnpvideo.batch.ray_crew import Crew, Remote
from pnpvideo.batch.ray_worker import Hello, versions
from pnpvideo.batch.reach import Reach
from pnpvideo.batch.rows import Row
from pnpvideo.errors import DeviceError, InputError
from pnpvideo.events import Event, Notice
from pnpvideo.settings.options import Options


class Cluster:
    """A stand-in for Ray. machines: processors by id, to be changed."""

    def __init__(self, **machines: float) -> None:
        self.machines, self.killed = machines, list[Any]()
        ray: Any = ModuleType("ray")
        ray.kill, ray.nodes = self.killed.append, self._nodes
        self.ray: ModuleType = ray
        self.heard: list[Event] = []
        self.crew = Crew(ray, [row()], Reach((), ()), self.heard.append)

    def _nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": name, "Alive": True, "Resources": {"CPU": has}} for name, has in self.machines.items()]

    def said(self) -> list[str]:
        return [event.message for event in self.heard if isinstance(event, Notice)]


def row(**values: object) -> Row:
    options = Options.from_flat({"device": "cpu", **values})
    return Row(number=1, place="row 1", input=None, prompt="a fox", output="out.mp4", options=options)


def hello(unseen: tuple[str, ...] = (), **other: str) -> Hello:
    return Hello(host="north", unseen=unseen, versions={**versions(), **other}, stores=("/store",))


def test_that_no_machine_is_left_is_said_once_and_that_work_goes_on() -> None:
    cluster = Cluster()
    cluster.crew.check()
    cluster.crew.check()
    assert len(cluster.said()) == 1 and "no machine of the cluster is left" in cluster.said()[0]
    cluster.machines["a"] = 64.0
    cluster.crew.met(Remote("actor", "a"), hello())
    assert len(cluster.said()) == 2 and "work goes on" in cluster.said()[1]
    cluster.crew.check()
    assert len(cluster.said()) == 2


def test_a_machine_that_cannot_do_the_work_is_left_out() -> None:
    cluster = Cluster(a=64.0, b=64.0, c=64.0)
    found = [Remote("one", "a"), Remote("two", "b"), Remote("three", "c")]
    cluster.crew.workers += found
    cluster.crew.met(found[0], hello(("in.mp4", "out")))
    cluster.crew.met(found[1], hello(pnpvideo="0.0.1"))
    cluster.crew.met(found[2], hello(torch="1.0"))
    assert cluster.killed == ["one", "two"] and cluster.crew.workers == found[2:]
    first, second, third = cluster.said()
    assert "north does not see in.mp4 and 1 more" in first and "install the same version" in second
    assert "torch 1.0, not" in third and "last bits" in third
    cluster.crew.leave_out(found[2], DeviceError("it broke"))
    with pytest.raises(InputError, match=r"no machine .* it broke"):
        cluster.crew.check()


def test_a_store_is_shared_on_one_machine_or_where_both_see_the_folder() -> None:
    here, beside, there = Remote(1, "a"), Remote(2, "a"), Remote(3, "b", stores=("/store",))
    assert here.shares(row(), beside) and not here.shares(row(), there)
    assert not here.shares(row(store="/store"), there)
    here.stores = ("/store",)
    assert here.shares(row(store="/store"), there) and not here.shares(row(store="/own"), there)
