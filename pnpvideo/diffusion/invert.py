"""Inversion: from a clean latent up to the noise that samples back to it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from pnpvideo.diffusion.ddim import along, clean_and_noise
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
    rounds: int = 0,
    refine: Callable[[Tensor, int], Tensor] | None = None,
) -> Iterator[State]:
    """DDIM inversion with eta 0 from ``x`` at ``level``: yields every level above it (arXiv 2010.02502, section 4.3).

    ``predict(x, timestep)`` is the network. The step from level i to i + 1 takes the network's answer at
    (x_i, t_{i+1}) with convention "destination", at (x_i, t_i) with "source" (the clean level is asked at t_1).

    Sampling goes back from x_{i+1} with the answer at x_{i+1} itself, which is not known on the way up: plain inversion
    takes a neighbour's, and returns to x_i only nearly. Each of ``rounds`` asks again where the last guess of x_{i+1}
    is, and steps anew from x_i (a fixed-point iteration, as in arXiv 2312.12540 and 2403.14602); one evaluation each.

    ``refine(eps, level)`` may change the noise that each answer holds before the step to ``level`` is made with it.
    """
    if convention not in CONVENTIONS:
        raise OptionError(f"convention is {convention!r}; accepted: {', '.join(CONVENTIONS)}")

    def noise(at: Tensor, asked: int) -> Tensor:
        output = predict(at, schedule.timestep(asked))
        _, eps = clean_and_noise(at, output, schedule.alphas[asked], schedule.prediction)
        return eps if refine is None else refine(eps, level + 1)

    x = x.float()
    while level < schedule.steps:
        asked = level + 1 if convention == "destination" or level == 0 else level
        higher = along(x, noise(x, asked), schedule, level, level + 1)
        for _ in range(rounds):
            higher = along(x, noise(higher, level + 1), schedule, level, level + 1)
        x, level = higher, level + 1
        yield State(x, level)
