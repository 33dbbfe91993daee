"""Sampling: from noise down to a clean latent, one level a step."""

from collections.abc import Callable, Iterator

from torch import Tensor

from pnpvideo.diffusion.ddim import ddim_step
from pnpvideo.diffusion.invert import State
from pnpvideo.diffusion.schedule import Schedule


def sample(
    denoise: Callable[[Tensor, int], tuple[Tensor, Tensor]],
    x: Tensor,
    schedule: Schedule,
    level: int,
    settle: Callable[[Tensor, int], Tensor] | None = None,
) -> Iterator[State]:
    """Deterministic DDIM from ``x`` at ``level`` down to level 0: yields the state after every step.

    ``denoise(x, level)`` gives the latents to step from, ``x`` itself unless a method moves it, and the guided network
    output for them. ``settle(x, level)`` may change the latents that a step has reached.
    """
    x = x.float()
    while level > 0:
        x, output = denoise(x, level)
        x = ddim_step(x, output, schedule, level, level - 1)
        level -= 1
        x = x if settle is None else settle(x, level)
        yield State(x, level)
