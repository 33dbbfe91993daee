"""How many workers a machine has room for; a cluster is described by the answer of ``ray.nodes`` alone."""

from types import ModuleType
from typing import Any

import pytest

from pnpvideo.batch.machines import START_LOSSES, Machines, Places
from pnpvideo.errors import DeviceError, InputError


def cluster(**machines: dict[str, float]) -> ModuleType:
    """A stand-in for Ray with these machines; one that has nothing is gone."""
    ray: Any = ModuleType("ray")
    ray.nodes = lambda: [{"NodeID": name, "Alive": bool(has), "Resources": has} for name, has in machines.items()]
    found: ModuleType = ray
    return found


def test_a_worker_takes_a_processor_for_each_thread() -> None:
    ray = cluster(a={"CPU": 9.0}, b={"CPU": 2.0}, head={"memory": 1.0}, gone={})
    assert Machines(ray, 4, True).places() == {
        "a": Places(2, {"num_gpus": 0, "num_cpus": 4}),
        "b": Places(1, {"num_gpus": 0, "num_cpus": 2}),
    }


def test_a_worker_takes_a_gpu_where_there_are_any_and_rows_want_them() -> None:
    ray = cluster(a={"CPU": 64.0, "GPU": 8.0}, b={"CPU": 64.0}, c={"GPU": 1.0})
    assert Machines(ray, 4, True).places() == {
        "a": Places(8, {"num_gpus": 1, "num_cpus": 1}),
        "c": Places(1, {"num_gpus": 1, "num_cpus": 0}),
    }
    assert {node: places.count for node, places in Machines(ray, 4, False).places().items()} == {"a": 16, "b": 16}


def test_a_machine_that_is_left_out_has_no_room_and_the_last_one_says_why() -> None:
    machines = Machines(cluster(a={"CPU": 1.0}, b={"CPU": 1.0}, gone={}), 1, False)
    assert machines.leave_out("a", InputError("a does not see it"))
    assert not machines.leave_out("a", DeviceError("again"))
    assert [*machines.places()] == ["b"]
    machines.check()
    machines.leave_out("b", DeviceError("b is broken"))
    with pytest.raises(InputError, match=r"no machine .* a does not see it; b is broken"):
        machines.check()


def test_a_cluster_without_machines_may_get_some() -> None:
    Machines(cluster(gone={}), 1, False).check()


def test_a_machine_whose_workers_do_not_start_is_known_after_some() -> None:
    machines = Machines(cluster(a={"CPU": 1.0}), 1, False)
    assert [machines.starts_fail("a") for _ in range(START_LOSSES)] == [False] * (START_LOSSES - 1) + [True]
