"""Inversion: from a clean latent up to the noise that samples back to it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from pnpvideo.diffusion.ddim import along
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solver import Answer, solver_step
from pnpvideo.errors import OptionError

CONVENTIONS = ("destination", "source")


class State(NamedTuple):
    """Latents x (f, c, h, w), fp32, and the level that they are at. before: the clean latents that the network said on
    the step to them, for a solver that looks back; they are of the level that the step started from."""

    x: Tensor
    level: int
    before: Tensor | None = None


def invert(
    predict: Callable[[Tensor, int], Tensor],
    x: Tensor,
    schedule: Schedule,
    level: int = 0,
    convention: str | None = None,
    rounds: int = 0,
    refine: Callable[[Tensor, int], Tensor] | None = None,
    solver: str = "ddim",
    before: Tensor | None = None,
) -> Iterator[State]:
    """Inversion of the sampler from ``x`` at ``level``: yields every level above it (arXiv 2010.02502, section 4.3).

    ``predict(x, level)`` is the network at the timestep of that level. The step from level i to i + 1 takes its answer
    at (x_i, t_{i+1}) with convention "destination", at (x_i, t_i) with "source" (the clean level is asked at t_1).
    None: "source" for the solver "2m", which knows no other, else "destination".

    Sampling goes back from x_{i+1} with the answer at x_{i+1} itself, which is not known on the way up: plain inversion
    takes a neighbour's, and returns to x_i only nearly. Each of ``rounds`` asks again where the last guess of x_{i+1}
    is, and steps anew from x_i (a fixed-point iteration, as in arXiv 2312.12540 and 2403.14602); one evaluation each.

    With solver "2m" and the convention "source", each step is of second order, and so is the way back: no rounds then.
    before: that of the state that an interrupted inversion goes on from.

    ``refine(eps, level)`` may change the noise that each answer holds before the step to ``level`` is made with it.
    """
    if convention is None:
        convention = "source" if solver == "2m" else "destination"
    if convention not in CONVENTIONS:
        raise OptionError(f"convention is {convention!r}; accepted: {', '.join(CONVENTIONS)}")
    if solver == "2m" and (convention != "source" or rounds):
        raise OptionError('solver "2m" inverts by the convention "source", and has no correction rounds')

    def answer(at: Tensor, asked: int) -> Answer:
        said = Answer.of(at, predict(at, asked), schedule, asked)
        if refine is None:
            return said
        eps = refine(said.eps, level + 1)
        alpha = schedule.alphas[asked]
        return Answer((at - (1 - alpha) ** 0.5 * eps) / alpha**0.5, eps, asked)

    x = x.float()
    while level < schedule.steps:
        asked = level + 1 if convention == "destination" or level == 0 else level
        said = answer(x, asked)
        if asked == level:
            higher = solver_step(x, said, before, schedule, level + 1, solver)
        else:
            higher = along(x, said.eps, schedule, level, level + 1)
        for _ in range(rounds):
            higher = along(x, answer(higher, level + 1).eps, schedule, level, level + 1)
        x, level, before = higher, level + 1, said.clean if asked == level else None
        yield State(x, level, before)
