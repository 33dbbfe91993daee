"""Several batches of a training step at once: one process each, because threads wait for each other in Python.

Two processes train the denoiser with 43,000 samples an hour, two threads with 38,000 (two cores, nothing else running).
The processes are forks that share the parameters; only gradients are copied.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn

from pnpvideo.errors import PnPVideoError

Gradients = tuple[Tensor, tuple[Tensor | None, ...]]
"""The loss of a batch, and the gradient of each parameter; None where the loss does not depend on it."""


class BatchWorkers:
    """Computes the batches of a step: the first in this process, the others in forks or, without forks, in turn."""

    def __init__(self, gradients: Callable[[int], Gradients], count: int, forks: Sequence["_Fork"]) -> None:
        self._gradients, self._count, self._forks = gradients, count, forks

    @property
    def processor_seconds(self) -> float:
        """What the forks have used so far."""
        return sum(fork.processor_seconds for fork in self._forks)

    def batches(self, step: int) -> list[Gradients]:
        """The batches step * count to (step + 1) * count - 1. Valid until the next call."""
        first, *others = range(step * self._count, (step + 1) * self._count)
        for fork, number in zip(self._forks, others, strict=False):
            fork.start(number)
        own = self._gradients(first)
        return [own, *([fork.result() for fork in self._forks] or [self._gradients(number) for number in others])]


@contextmanager
def batch_workers(
    gradients: Callable[[int], Gradients], module: nn.Module, count: int, device: str
) -> Iterator[BatchWorkers]:
    """Workers for ``count`` batches a step: processes on a CPU that can fork, and none otherwise.

    gradients: number of a batch -> its gradients, by the parameters of ``module`` that require them.
    """
    forks: list[_Fork] = []
    if torch.device(device).type == "cpu" and "fork" in multiprocessing.get_all_start_methods():
        module.share_memory()
        for _ in range(1, count):
            forks.append(_Fork(gradients, module, forks))
    try:
        yield BatchWorkers(gradients, count, forks)
    finally:
        for fork in forks:
            fork.end()


class _Fork:
    """A process that computes gradients with the shared parameters of ``module``, and ends with this one."""

    def __init__(self, gradients: Callable[[int], Gradients], module: nn.Module, earlier: Sequence["_Fork"]) -> None:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._shared = [torch.zeros_like(parameter.detach()).share_memory_() for parameter in parameters]
        self.processor_seconds = 0.0
        context = multiprocessing.get_context("fork")
        self._connection, other = context.Pipe()
        held = [self._connection, *(fork._connection for fork in earlier)]
        self._process = context.Process(target=self._serve, args=(gradients, other, held), daemon=True)
        self._process.start()
        other.close()

    def start(self, number: int) -> None:
        """Begin with batch ``number``."""
        try:
            self._connection.send(number)
        except OSError as error:
            raise PnPVideoError("a worker of the training has ended; the last checkpoint is intact") from error

    def result(self) -> Gradients:
        """What was begun. Raises PnPVideoError if the process failed or was killed."""
        try:
            loss, present, seconds = self._connection.recv()
        except (EOFError, OSError) as error:
            raise PnPVideoError("a worker of the training has ended; the last checkpoint is intact") from error
        if isinstance(loss, str):
            raise PnPVideoError(f"a worker of the training failed: {loss}")
        self.processor_seconds += seconds
        return torch.tensor(loss), tuple(
            x if is_there else None for x, is_there in zip(self._shared, present, strict=True)
        )

    def end(self) -> None:
        """Close the connection, which ends the process."""
        self._connection.close()
        self._process.join()

    def _serve(self, gradients: Callable[[int], Gradients], other: Connection, held: Sequence[Connection]) -> None:
        """In the fork: answer until the connection is closed, of which the fork must hold no copy."""
        for connection in held:
            connection.close()
        spent = time.process_time()
        try:
            while True:
                number = other.recv()
                try:
                    loss, found = gradients(number)
                except Exception as error:  # of whatever kind: this process ends, and the parent raises it
                    other.send((repr(error), (), 0.0))
                    return
                for target, gradient in zip(self._shared, found, strict=True):
                    if gradient is not None:
                        target.copy_(gradient)
                now = time.process_time()
                other.send((float(loss), [gradient is not None for gradient in found], now - spent))
                spent = now
        except (EOFError, OSError, KeyboardInterrupt):  # this process has ended, or ends
            return
