"""Sampling: from noise down to a clean latent, one level a step."""

from collections.abc import Callable, Iterator

from torch import Tensor

from pnpvideo.diffusion.ddim import ddim_step
from pnpvideo.diffusion.invert import State
from pnpvideo.diffusion.schedule import Schedule


def sample(denoise: Callable[[Tensor, int], Tensor], x: Tensor, schedule: Schedule, level: int) -> Iterator[State]:
    """Deterministic DDIM from ``x`` at ``level`` down to level 0: yields the state after every step.

    ``denoise(x, level)`` is the guided network output for latents of that level.
    """
    x = x.float()
    while level > 0:
        x = ddim_step(x, denoise(x, level), schedule, level, level - 1)
        level -= 1
        yield State(x, level)
