"""When memory runs out: smaller calls, then parts of the model elsewhere, and at last an error that says what helps."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

from pnpvideo.errors import DeviceError
from pnpvideo.events import Notice, Report

Made = TypeVar("Made")
FULL = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED", "unable to find an engine to execute")
"""What is said where memory has run out; the last by cuDNN, whose engines all want some."""


class Offloadable(Protocol):
    """A model of which parts can wait where there is more memory."""

    def offload(self) -> bool:
        """Let them. False where they do already, or where there is no such place."""


class Room:
    """What a run may take at once. batch: frames a network call; it halves when memory runs out."""

    def __init__(self, backend: Offloadable, batch: int, report: Report) -> None:
        self.batch, self._backend, self._report = batch, backend, report

    def tried(self, call: Callable[[int], Made], least: int = 1) -> Made:
        """``call`` of the batch, again with less where memory is exhausted: with half the batch each time, down to
        ``least``, below which nothing gets smaller; then with the parts of the model that rest off the device. Raises
        what ``call`` raises when nothing is left to give up."""
        while True:
            try:
                return call(self.batch)
            except (MemoryError, RuntimeError) as failed:
                if not exhausted(failed) or not (self._halved(max(1, least)) or self._offloaded()):
                    raise
            gc.collect()  # what the failed call held is free only now that its exception is gone
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def again(self, call: Callable[[], Made]) -> Made:
        """The same for a call whose size is what it is."""
        return self.tried(lambda _: call(), self.batch)

    def _halved(self, least: int) -> bool:
        if self.batch <= least:
            return False
        self.batch = max(least, self.batch // 2)
        frames = "1 frame" if self.batch == 1 else f"{self.batch} frames"
        self._report(Notice(message=f"memory ran out; {frames} a network call from here on"))
        return True

    def _offloaded(self) -> bool:
        if not self._backend.offload():
            return False
        self._report(Notice(message="memory ran out; parts of the model wait off the device from here on"))
        return True


def exhausted(failed: BaseException) -> bool:
    """torch.OutOfMemoryError is a RuntimeError; a CPU raises a plain one, as do the libraries that torch calls."""
    return isinstance(failed, MemoryError) or any(words in str(failed) for words in FULL)


@contextmanager
def memory_told() -> Iterator[None]:
    """Exhausted memory, of the device or of the machine, as a DeviceError that says what needs less."""
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
