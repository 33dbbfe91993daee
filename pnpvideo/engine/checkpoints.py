"""Save finished steps every two seconds, after a check for NaN."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pnpvideo.engine.run import Run, Window
from pnpvideo.errors import DeviceError, StoreError
from pnpvideo.store import Entry

SECONDS = 2.0
"""Seconds between two writes to the store; in between, tensors stay on the device."""

Part = tuple[dict[str, Tensor], dict[str, Any]]
"""One part of a store entry: tensors by name, and JSON-ready metadata."""
Keep = Callable[[int, dict[str, Part]], bool]
"""keep(done, parts): ``done`` steps are finished, and the last of them adds or replaces ``parts`` of the entry. Returns
whether all parts so far are in the store."""


class Checkpoints:
    """Saves the steps of one ``stage`` ("invert" or "sample") of a window in ``entry``, and reports them."""

    def __init__(self, entry: Entry, stage: str, run: Run, window: Window) -> None:
        self._entry, self._stage, self._run, self._window = entry, stage, run, window
        self._advice = "; try --dtype float32" if run.backend.dtype.itemsize == 2 else ""
        self._waiting: dict[str, Part] = {}
        self._finite: list[tuple[int, Tensor]] = []
        self._last_visit = self._counted_until = time.monotonic()

    @contextmanager
    def kept(self, first: int) -> Iterator[Keep]:
        """Yield ``keep``, and write all its parts to the store when the block ends or is interrupted.

        first: number of steps that are finished already; if 0, the start of the stage is reported.

        Raises DeviceError if a part is not finite. After this or any DeviceError or StoreError, the parts that wait are
        not saved.
        """
        if first == 0:
            self._progress(0)
        try:
            yield self._keep
        except (DeviceError, StoreError):
            raise
        except BaseException:
            self._flush()
            raise
        self._flush()
        self._count()

    def _keep(self, done: int, parts: dict[str, Part]) -> bool:
        for name, part in parts.items():
            self._waiting.pop(name, None)  # requeue at the end: a state is saved after the parts that it refers to
            self._waiting[name] = part
        self._finite += [
            (done, torch.isfinite(value).all()) for tensors, _ in parts.values() for value in tensors.values()
        ]
        if time.monotonic() - self._last_visit >= SECONDS:
            self._flush()
        self._count()
        self._progress(done)
        return not self._waiting

    def _progress(self, done: int) -> None:
        self._run.report(self._window.progress(self._stage, done, self._run.schedule.steps, "step"))

    def _count(self) -> None:
        now = time.monotonic()
        timings = self._run.timings
        timings[self._stage] = timings.get(self._stage, 0.0) + now - self._counted_until
        self._counted_until = now

    def _flush(self) -> None:
        for step, finite in self._finite:
            if not bool(finite):
                self._waiting.clear()
                raise DeviceError(f"the network gave NaN or infinity at {self._stage} step {step}{self._advice}")
        self._finite.clear()
        for name in list(self._waiting):
            self._entry.put(name, *self._waiting[name])
            del self._waiting[name]  # an interrupt before this line only makes the next flush save it again
        self._last_visit = time.monotonic()
