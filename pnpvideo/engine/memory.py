"""Recovery of network calls: smaller batches when memory runs out, fp32 when half precision gives NaN."""

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

import torch

from pnpvideo.errors import DeviceError, NotFiniteError
from pnpvideo.events import Notice, Report

T = TypeVar("T")
EXHAUSTED = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED", "unable to find an engine to execute")
"""Substrings of error messages that mean exhausted memory; the last is cuDNN's, when no engine gets its workspace."""


class Recoverable(Protocol):
    """What a backend can do when a call fails."""

    def offload(self) -> bool:
        """Move idle parts of the model off the device; False if nothing more can be moved."""

    def upcast(self) -> AbstractContextManager[None] | None:
        """A context in which the network runs in fp32; None if it already does."""


class CallGuard:
    """Run network calls and retry failed ones, in smaller batches or in fp32. batch: current frames per call."""

    def __init__(self, backend: Recoverable, batch: int, report: Report) -> None:
        self.batch, self._backend, self._report = batch, backend, report
        self._said_upcast = False

    def run_batched(self, call: Callable[[int], T], least: int = 1) -> T:
        """Return ``call(batch)``, retried after a failure; ``call`` must be safe to run from its start again.

        Out of memory: halve the batch, not below ``least``, then offload idle parts of the model; both last for the
        rest of the run. NaN or infinity in half precision: repeat this one call in fp32. Raises what ``call`` raises
        when nothing is left to try.
        """
        while True:
            try:
                return call(self.batch)
            except NotFiniteError:
                if (upcast := self._backend.upcast()) is None:
                    raise
                self._report_upcast()
                with upcast:
                    return self.run_batched(call, least)
            except (MemoryError, RuntimeError) as failed:
                if not exhausted(failed) or not (self._halve(max(1, least)) or self._offload()):
                    raise
            gc.collect()  # the failed call's tensors are freed only now that its exception is gone
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def run(self, call: Callable[[], T]) -> T:
        """Return ``call()``, retried like ``run_batched`` but without a batch to halve."""
        return self.run_batched(lambda _: call(), self.batch)

    def _halve(self, least: int) -> bool:
        if self.batch <= least:
            return False
        self.batch = max(least, self.batch // 2)
        frames = "1 frame" if self.batch == 1 else f"{self.batch} frames"
        self._report(Notice(message=f"memory ran out; {frames} a network call from here on"))
        return True

    def _offload(self) -> bool:
        if not self._backend.offload():
            return False
        self._report(Notice(message="memory ran out; parts of the model wait off the device from here on"))
        return True

    def _report_upcast(self) -> None:
        if not self._said_upcast:
            self._said_upcast = True
            self._report(Notice(message="half precision gave NaN or infinity; such steps are computed again in fp32"))


def exhausted(failed: BaseException) -> bool:
    """Whether an exception means exhausted memory. A GPU raises torch.OutOfMemoryError, a CPU a plain RuntimeError."""
    return isinstance(failed, MemoryError) or any(part in str(failed) for part in EXHAUSTED)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn exhausted memory, of the device or the machine, into a DeviceError that names options which need less."""
    try:
        yield
    except (MemoryError, RuntimeError) as failed:
        if not exhausted(failed):
            raise
        raise DeviceError(
            "memory is exhausted; a smaller --size, --window or --batch, or a greater --keyframe-every, needs less, "
            "and --dtype float16 or bfloat16 on a GPU, and --checkpointing or --map-pixels where pix2pix-zero guides; "
            "the finished steps are kept for the next try"
        ) from failed
