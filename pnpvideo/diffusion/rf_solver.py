"""RF-Solver's step up (arXiv 2411.04746, eq. 8 and 9) for the ODE dz/dt = v(z, t) of flow matching."""

from collections.abc import Callable

from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule


def rf_solver_step(velocity: Callable[[Tensor, float], Tensor], z: Tensor, level: int, schedule: Schedule) -> Tensor:
    """The latents of ``level`` + 1 from ``z`` (f, c, h, w) of ``level``: second order, two network calls.

    Taylor's series z + h v + h^2 / 2 v', with h the step in t and v' the difference of v over half a step, divided by
    h / 2. That is z + h v at the point half a step on, the midpoint rule. ``velocity(z, level)``: the network's output,
    also at ``level`` + 1/2, for the time between its neighbours'. The clean level is evaluated at the time of
    level 1, as in invert(): v at half a step is then off by O(h^2), which leaves the order as it is.
    """
    h = schedule.noises[level + 1] - schedule.noises[level]
    halfway = z + h / 2 * velocity(z, max(level, 1))
    return z + h * velocity(halfway, level + 0.5)
