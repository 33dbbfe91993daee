"""Sampling: from noise down to a clean latent, one level a step."""

from collections.abc import Callable, Iterator

from torch import Tensor

from pnpvideo.diffusion.invert import State
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solver import Answer, solver_step


def sample(
    denoise: Callable[[Tensor, int], tuple[Tensor, Tensor]],
    x: Tensor,
    schedule: Schedule,
    level: int,
    settle: Callable[[Tensor, int], Tensor] | None = None,
    solver: str = "ddim",
    before: Tensor | None = None,
    ahead: Callable[[int], Tensor | None] | None = None,
) -> Iterator[State]:
    """Deterministic sampling from ``x`` at ``level`` down to level 0: yields the state after every step.

    ``denoise(x, level)`` gives the latents to step from, ``x`` itself unless a method moves it, and the guided network
    output for them. ``settle(x, level)`` may change the latents that a step has reached. solver: see solver.py.
    before: that of the state that an interrupted run goes on from. ``ahead(level)``: the second order of that level's
    step, where a trajectory beside this one is known (see solver.py); then ``solver`` has no say.
    """
    x = x.float()
    while level > 0:
        x, output = denoise(x, level)
        answer = Answer.of(x, output, schedule, level)
        if ahead is None:
            x, before = solver_step(x, answer, before, schedule, level - 1, solver), answer.clean
        else:
            x = solver_step(x, answer, None, schedule, level - 1, ahead=ahead(level))
        level -= 1
        x = x if settle is None else settle(x, level)
        yield State(x, level, before)
