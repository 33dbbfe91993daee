"""RF-Solver's step: its order on a flow that is known in closed form, and the same step up and down."""

import math

import torch
from torch import Tensor

from pnpvideo.backends.fake import TIME_SCALE, FakeBackend
from pnpvideo.diffusion.rf_solver import rf_solver_step

BACKEND = FakeBackend({"dusk": (-0.3, -0.2, 0.1)}, deviation=0.5)
TEXT = BACKEND.embed("dusk").batch()
MEAN = torch.tensor([-0.3, -0.2, 0.1]).reshape(1, 3, 1, 1).double()


def velocity(z: Tensor, t: float) -> Tensor:
    return BACKEND.predict(z, TIME_SCALE * t, TEXT)


def exact(x: Tensor, t: float, to: float) -> Tensor:
    """The flow keeps how many standard deviations a value is from its mean: N((1 - t) mean, (1 - t)^2 s^2 + t^2)."""
    deviation, goal = ((0.25 * (1 - each) ** 2 + each**2) ** 0.5 for each in (t, to))
    return (1 - to) * MEAN + goal / deviation * (x - (1 - t) * MEAN)


def error(steps: int, t: float, to: float) -> float:
    start = torch.randn((1, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = start
    for step in range(steps):
        x = rf_solver_step(velocity, x, t + (to - t) * step / steps, t + (to - t) * (step + 1) / steps)
    return float((x - exact(start, t, to)).abs().max())


def test_half_the_step_has_an_eighth_of_the_error_on_a_gaussian_flow() -> None:
    """One order better than it promises: with y y'' + y'^2 constant, as y^2 is quadratic, the leading term vanishes."""
    for t, to in ((0.9, 0.1), (0.1, 0.9)):
        assert 7 < error(16, t, to) / error(32, t, to) < 9
        assert error(32, t, to) < 1e-4


def test_half_the_step_has_a_quarter_of_the_error_on_others() -> None:
    """Of dz/dt = t z, which ends at z exp((to^2 - t^2) / 2)."""

    def off(steps: int) -> float:
        z = torch.ones((1, 1, 1, 1), dtype=torch.float64)
        for step in range(steps):
            z = rf_solver_step(lambda z, t: t * z, z, step / steps, (step + 1) / steps)
        return abs(float(z) - math.exp(0.5))

    assert 3.7 < off(16) / off(32) < 4.3


def test_a_step_is_its_equation() -> None:
    """Of v(z, t) = z + t: z + h v + h^2 / 2 (dv/dt + v dv/dz), exactly."""
    z = torch.tensor([[[[2.0]]]], dtype=torch.float64)
    found = rf_solver_step(lambda z, t: z + t, z, 0.5, 0.25)
    assert torch.allclose(found, z - 0.25 * (z + 0.5) + 0.25**2 / 2 * (1 + z + 0.5))
