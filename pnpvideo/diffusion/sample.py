"""Sampling: from noisy latents down to clean ones, one level a step."""

from collections.abc import Callable, Iterator

from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solvers import Solver, State


def sample(
    denoise: Callable[[Tensor, int], tuple[Tensor, Tensor]],
    start: State,
    schedule: Schedule,
    solver: Solver,
    after_step: Callable[[Tensor, int], Tensor] | None = None,
) -> Iterator[State]:
    """Deterministic sampling from ``start`` down to level 0: yield the state after every step.

    ``denoise(x, level)`` returns the latents to step from, ``x`` itself unless a method moves it, and the guided
    network output for them, both (f, c, h, w). ``after_step(x, level)`` may replace the latents that a step reached.
    start: the initial noise, or any state that an interrupted run has yielded.
    """
    state = start._replace(x=start.x.float())
    while state.level > 0:
        x, output = denoise(state.x, state.level)
        estimate = schedule.estimate(x, output, state.level)
        to = state.level - 1
        x = solver.step(state._replace(x=x), estimate, schedule, to)
        x = x if after_step is None else after_step(x, to)
        state = State(x, to, estimate.x0 if solver.looks_back else None)
        yield state
