"""Count the network's evaluations."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pnpvideo.backends.backend import Backend


@contextmanager
def count_evaluations(backend: Backend) -> Iterator[list[int]]:
    """Count the network's evaluations in the block: a list with the number of latents of each call."""
    counts: list[int] = []

    def count(module: Any, args: tuple[torch.Tensor, ...]) -> None:
        counts.append(len(args[0]))

    hook = backend.network.register_forward_pre_hook(count)
    try:
        yield counts
    finally:
        hook.remove()
