"""Inversion: from a clean latent up to the noise that samples back to it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from pnpvideo.diffusion.ddim import ddim_step
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.errors import OptionError

CONVENTIONS = ("destination", "source")


class State(NamedTuple):
    """Latents x (f, c, h, w), fp32, and the level that they are at."""

    x: Tensor
    level: int


def invert(
    predict: Callable[[Tensor, int], Tensor],
    x: Tensor,
    schedule: Schedule,
    level: int = 0,
    convention: str = "destination",
) -> Iterator[State]:
    """DDIM inversion with eta 0 from ``x`` at ``level``: yields every level above it (arXiv 2010.02502, section 4.3).

    ``predict(x, timestep)`` is the network. The step from level i to i + 1 takes the network's answer at
    (x_i, t_{i+1}) with convention "destination", at (x_i, t_i) with "source" (the clean level is asked at t_1).
    """
    if convention not in CONVENTIONS:
        raise OptionError(f"convention is {convention!r}; accepted: {', '.join(CONVENTIONS)}")
    x = x.float()
    while level < schedule.steps:
        asked = level + 1 if convention == "destination" or level == 0 else level
        output = predict(x, schedule.timestep(asked))
        x = ddim_step(x, output, schedule, level, level + 1, asked)
        level += 1
        yield State(x, level)
