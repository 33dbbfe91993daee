"""What a window reads of one that another process works on, and what it does when that process is gone."""

import threading
from pathlib import Path

import pytest
import torch

from pnpvideo.engine.inversion import level_name
from pnpvideo.engine.sampling import STATE, chosen_name
from pnpvideo.engine.sharing import Abandoned, Awaited, Stopped, StoredSource, StoredStates, is_finished
from pnpvideo.store import Store

RUN, TRAJECTORY = "a" * 64, "b" * 64


def never() -> None:
    """Nobody ends the work."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, kind: str, key: str, name: str, value: float, drawings: int = 1) -> None:
    with store.entry(kind, key) as entry:
        entry.put(name, {"x": torch.arange(drawings, dtype=torch.float32) + value})


def test_levels_are_read_as_they_come(store: Store) -> None:
    states = StoredStates(Awaited(store, RUN, never), 3)
    with store.claimed(RUN):
        put(store, "run", RUN, chosen_name(3), 3.0)
        assert states[3].tolist() == [3.0]
        timer = threading.Timer(0.2, put, (store, "run", RUN, chosen_name(2), 2.0))
        timer.start()
        assert states[2].tolist() == [2.0]
        timer.join()
    assert [*states] == [1, 2, 3] and len(states) == 3
    assert 0 not in states and 4 not in states  # no step starts there
    store.clear()
    assert states[3].tolist() == [3.0]


def test_of_a_trajectory_the_anchors_rows_are_read(store: Store) -> None:
    put(store, "trajectory", TRAJECTORY, level_name(0), 10.0, drawings=4)
    source = StoredSource(Awaited(store, RUN, never), TRAJECTORY, (1, 3))
    assert source.at(0).tolist() == [11.0, 13.0]


def test_a_level_that_nobody_works_on_is_not_waited_for(store: Store) -> None:
    with pytest.raises(Abandoned):
        Awaited(store, RUN, never).part("run", RUN, chosen_name(1))


def test_a_wait_ends_when_it_is_told_to(store: Store) -> None:
    def stop() -> None:
        raise Stopped

    with store.claimed(RUN), pytest.raises(Stopped):
        Awaited(store, RUN, stop).part("run", RUN, chosen_name(1))


def test_a_run_is_finished_with_its_last_state(store: Store) -> None:
    assert not is_finished(store, RUN)
    for level in (2, 0):
        with store.entry("run", RUN) as entry:
            entry.put(STATE, {"x": torch.zeros(1)}, {"level": level})
        assert is_finished(store, RUN) == (level == 0)
