"""RF-Solver's step (arXiv 2411.04746, eq. 8 and 9) for the ODE dz/dt = v(z, t) of flow matching."""

from collections.abc import Callable

from torch import Tensor


def rf_solver_step(velocity: Callable[[Tensor, float], Tensor], z: Tensor, t: float, to: float) -> Tensor:
    """The latents at time ``to`` from ``z`` (f, c, h, w) at ``t``, in [0, 1] each, up or down: second order, two calls.

    Taylor's series: z + h v + h^2 / 2 v', with h = to - t and v' by a difference over half a step, taken along v.
    velocity: v(z, t), defined at every time. No loop uses it yet: theirs asks the network at levels alone.
    """
    h = to - t
    v = velocity(z, t)
    slope = (velocity(z + h / 2 * v, t + h / 2) - v) / (h / 2)
    return z + h * v + h**2 / 2 * slope
