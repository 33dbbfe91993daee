"""Inversion: from clean latents up to the noise that samples back to them, one level a step."""

from collections.abc import Callable, Iterator

from torch import Tensor

from pnpvideo.diffusion.prediction import Estimate
from pnpvideo.diffusion.rf_solver import rf_solver_step
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solvers import Solver, State, ddim_step
from pnpvideo.errors import OptionError


def invert(
    predict: Callable[[Tensor, float], Tensor],
    start: State,
    schedule: Schedule,
    solver: Solver,
    rounds: int = 0,
    refine: Callable[[Tensor, int], Tensor] | None = None,
) -> Iterator[State]:
    """Follow the probability-flow ODE upwards from ``start``: yield the state after every step.

    (DDIM inversion, arXiv 2010.02502, section 4.3.) ``predict(x, level)`` is the network's output for ``x`` at that
    level's timestep. The step from level i to i + 1 takes it at (x_i, t_i), or, if the solver evaluates at the
    destination, at (x_i, t_{i+1}); the clean level has no timestep of its own and is evaluated at t_1. A solver that
    evaluates halfway calls it a second time with the level i + 1/2 (see rf_solver).
    start: the clean latents at level 0, or any state that an interrupted run has yielded.

    Sampling goes back from x_{i+1} with the output at x_{i+1} itself, which is not known on the way up, so plain
    inversion returns to x_i only nearly. Each of ``rounds`` evaluates anew at the last guess of x_{i+1} and steps again
    from x_i: a fixed-point iteration (AIDI, arXiv 2309.04907; 2312.12540; ReNoise, 2403.14602), one evaluation each.
    A solver that looks back needs none, for its way back is of the same order, and accepts none: OptionError.

    ``refine(eps, level)`` may change the noise estimate before the step to ``level`` is made with it; a solver that
    evaluates halfway takes none: OptionError.
    """
    if solver.halfway and refine is not None:
        raise OptionError("a solver that asks the network halfway inverts without regularisation: leave refine out")
    if solver.looks_back and rounds:
        raise OptionError(f"rounds is {rounds}; a solver that looks back inverts without correction rounds: give 0")

    def estimate(x: Tensor, level: int) -> Estimate:
        return schedule.estimate(x, predict(x, level), level)

    def refined(eps: Tensor, to: int) -> Tensor:
        return eps if refine is None else refine(eps, to)

    def step_by_destination(x: Tensor, level: int, guess: Tensor) -> Tensor:
        """DDIM's step up from ``x``, by the network's estimate at the level above, for ``guess`` in place of it."""
        found, signal, noise = estimate(guess, level + 1), schedule.signals[level], schedule.noises[level]
        eps = found.eps
        if schedule.signals[level + 1] == 0 and noise:  # of pure noise eps repeats the guess, and x0 alone is news
            eps = (x - signal * found.x0) / noise
        return ddim_step(x, refined(eps, level + 1), schedule, level, level + 1)

    state = start._replace(x=start.x.float())
    while state.level < schedule.steps:
        x, level, to, previous_x0 = state.x, state.level, state.level + 1, None
        if solver.halfway:
            higher = rf_solver_step(predict, x, level, schedule)
        elif level == 0 or solver.at_destination:
            higher = step_by_destination(x, level, x)
        else:
            found = estimate(x, level)
            if refine is not None:
                eps = refined(found.eps, to)
                found = Estimate((x - schedule.noises[level] * eps) / schedule.signals[level], eps)
            higher = solver.step(state, found, schedule, to)
            previous_x0 = found.x0 if solver.looks_back else None
        for _ in range(rounds):
            higher = step_by_destination(x, level, higher)
        state = State(higher, to, previous_x0)
        yield state
