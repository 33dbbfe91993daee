"""Recovery of network calls: less at once where memory runs out, fp32 where half precision gives NaN."""

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

import torch

from pnpvideo.errors import DeviceError, NotFiniteError
from pnpvideo.events import Notice, Report

T = TypeVar("T")
EXHAUSTED = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED", "unable to find an engine to execute")
"""Parts of the messages that mean exhausted memory; the last is cuDNN's, all of whose engines need some."""


class Recoverable(Protocol):
    """What a backend can do when a call fails."""

    def offload(self) -> bool:
        """Move idle parts of the model off the device; False if nothing more can be moved."""

    def upcast(self) -> AbstractContextManager[None] | None:
        """A context in which the network runs in fp32; None if it does already."""


class CallGuard:
    """Run network calls, and repeat those that fail with less at once or in fp32. batch: frames a call, at present."""

    def __init__(self, backend: Recoverable, batch: int, report: Report) -> None:
        self.batch, self._backend, self._report = batch, backend, report
        self._said_upcast = False

    def run_batched(self, call: Callable[[int], T], least: int = 1) -> T:
        """Return ``call(batch)``, repeated after a failure; ``call`` must start anew each time.

        Out of memory: halve the batch, down to ``least`` (below which calls do not get smaller), then offload idle
        parts of the model; both last for the rest of the run. NaN in half precision: repeat this one call in fp32.
        Raises what ``call`` raises when nothing is left to try.
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
        """The same for a call that has no batch to halve."""
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
    return isinstance(failed, MemoryError) or any(words in str(failed) for words in EXHAUSTED)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn exhausted memory, of the device or the machine, into a DeviceError that says what needs less."""
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
