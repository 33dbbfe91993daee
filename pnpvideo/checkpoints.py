"""Finished steps, checked and put into the store: often enough to lose little, seldom enough to cost nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pnpvideo.errors import DeviceError, StoreError
from pnpvideo.events import Report
from pnpvideo.store import Entry
from pnpvideo.window import Window

SECONDS = 2.0
"""Between two visits to the store. In between, what was made stays on the device."""

Part = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors of a part of the store, and their notes."""
Keep = Callable[[int, dict[str, Part]], bool]
"""How many steps are done, and the parts that the last one adds or replaces -> is all that was given in the store?"""


class Checkpoints:
    """Keeps the steps of one ``stage`` ("invert" or "sample") of a ``window`` in ``entry``, and says so.

    dtype: the network's. timings: seconds of each stage, to be added to.
    """

    def __init__(
        self,
        entry: Entry,
        stage: str,
        steps: int,
        window: Window,
        dtype: torch.dtype,
        report: Report,
        timings: dict[str, float],
    ) -> None:
        self.entry, self.stage, self.steps, self.window = entry, stage, steps, window
        self.report, self.timings = report, timings
        self._advice = "; try --dtype float32" if dtype.itemsize == 2 else ""
        self._waiting: dict[str, Part] = {}
        self._finite: list[tuple[int, Tensor]] = []
        self._last = self._mark = time.monotonic()

    @contextmanager
    def kept(self) -> Iterator[Keep]:
        """At the end of the block, whatever ends it, all that was given is in the store.

        Raises DeviceError, and keeps nothing more, where a step gave NaN.
        """
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
            self._waiting.pop(name, None)  # to the end of the queue: a state must not be kept before what it needs
            self._waiting[name] = part
        self._finite += [
            (done, torch.isfinite(value).all()) for tensors, _ in parts.values() for value in tensors.values()
        ]
        if time.monotonic() - self._last >= SECONDS:
            self._flush()
        self._count()
        self.report(self.window.progress(self.stage, done, self.steps, "step"))
        return not self._waiting

    def _count(self) -> None:
        now = time.monotonic()
        self.timings[self.stage] = self.timings.get(self.stage, 0.0) + now - self._mark
        self._mark = now

    def _flush(self) -> None:
        for step, finite in self._finite:
            if not bool(finite):
                self._waiting.clear()
                raise DeviceError(f"the network gave NaN or infinity at {self.stage} step {step}{self._advice}")
        self._finite.clear()
        for name in list(self._waiting):
            self.entry.put(name, *self._waiting[name])
            del self._waiting[name]  # an interrupt before this puts it once more
        self._last = time.monotonic()
