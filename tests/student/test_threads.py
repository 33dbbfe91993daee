import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from pnpvideo.student.threads import AHEAD, Ahead, Workers

from .conftest import pictures


def test_a_thread_runs_ahead_by_a_bounded_number_of_items() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    with Ahead(items()) as ahead:
        first = next(iter(ahead))
        deadline = time.monotonic() + 10
        while len(made) < AHEAD and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert first == 0 and AHEAD <= len(made) <= AHEAD + 3
    assert len(made) <= AHEAD + 3


def test_items_come_in_order_and_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise KeyError("here")

    seen = []
    with pytest.raises(KeyError, match="here"), Ahead(items()) as ahead:
        for number in ahead:
            seen.append(number)
    assert seen == list(range(20))


def test_a_source_is_closed_by_the_thread_that_read_it() -> None:
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread().name)

    with Ahead(items()) as ahead:
        next(iter(ahead))
    assert closed and closed[0] != threading.current_thread().name


def test_workers_translate_at_once_and_share_the_threads() -> None:
    both, threads = threading.Barrier(2, timeout=30), torch.get_num_threads()
    shares: list[int] = []

    def translate(picture: np.ndarray) -> np.ndarray:
        both.wait()
        shares.append(torch.get_num_threads())
        return 255 - picture

    sources = pictures(6)
    with Workers(translate, 2) as workers:
        results = [workers.start(picture) for picture in sources]
        made = [result.result() for result in results]
    assert all(np.array_equal(result, 255 - picture) for result, picture in zip(made, sources, strict=True))
    assert set(shares) == {max(1, threads // 2)} and torch.get_num_threads() == threads


def test_what_has_not_begun_is_dropped() -> None:
    dropped, begun = threading.Event(), list[int]()

    def translate(picture: np.ndarray) -> np.ndarray:
        begun.append(1)
        if len(begun) == 1:
            raise KeyError("here")
        assert dropped.wait(30)
        return picture

    with pytest.raises(KeyError, match="here"), Workers(translate, 1) as workers:
        results = [workers.start(picture) for picture in pictures(5)]
        results[-1].add_done_callback(lambda _: dropped.set())
        results[0].result()
    assert len(begun) <= 2 and results[-1].cancelled()
