"""Threads for a stream of frames: one that reads ahead, and some that translate, each with its share of the cores."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
import torch

AHEAD = 8
"""Frames that may wait between two threads."""

Item = TypeVar("Item")


class Workers:
    """``count`` threads that call ``translate`` for one picture each, with an equal share of PyTorch's threads.

    A context manager: leaving it drops what has not begun, and waits for what has.
    """

    def __init__(self, translate: Callable[[np.ndarray], np.ndarray], count: int) -> None:
        self._translate, self._threads = translate, torch.get_num_threads()
        share = max(1, self._threads // count)
        self._pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(share,))

    def start(self, picture: np.ndarray) -> "Future[np.ndarray]":
        """The translation of a picture, to come."""
        return self._pool.submit(self._translate, picture)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)  # the workers' number is otherwise what new threads begin with


class Ahead(Generic[Item]):
    """An iterator that a thread of its own runs ahead of who reads it, by AHEAD items at most.

    A context manager: leaving it stops the thread. What the source raises is raised where the item would have come.
    """

    def __init__(self, source: Iterable[Item]) -> None:
        self._waiting: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(AHEAD)
        self._source, self._stop = iter(source), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while True:
            is_item, value = self._waiting.get()
            if is_item:
                yield value  # type: ignore[misc]
            elif value is None:
                return
            else:
                assert isinstance(value, BaseException)
                raise value

    def __enter__(self) -> "Ahead[Item]":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for item in self._source:
                if not self._put((True, item)):
                    break
            else:
                self._put((False, None))
        except BaseException as error:
            self._put((False, error))
        finally:
            if callable(close := getattr(self._source, "close", None)):
                close()

    def _put(self, entry: tuple[bool, Item | BaseException | None]) -> bool:
        """Whether the entry was taken; False once the reader has left."""
        while not self._stop.is_set():
            try:
                self._waiting.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
