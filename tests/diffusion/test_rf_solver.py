"""RF-Solver's step: its equations, its order through the loop of inversion, and what it takes and refuses."""

import math

import pytest
import torch
from torch import Tensor

from pnpvideo.backends.fake import FakeBackend
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.rf_solver import rf_solver_step
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solvers import DDIM, SOLVERS, DPMSolver2M, RFSolver, Solver, State
from pnpvideo.errors import OptionError
from tests.solver_table import gaussian
from tests.solver_table import off as miss_of

BACKEND = FakeBackend({"dusk": (-0.3, -0.2, 0.1)}, deviation=0.5)
TEXT = BACKEND.embed("dusk").batch()
MEAN = torch.tensor([-0.3, -0.2, 0.1]).reshape(1, 3, 1, 1)
CLEAN = MEAN + 0.5 * torch.randn((1, 3, 4, 4), generator=torch.Generator().manual_seed(0))


def test_a_step_is_equations_8_and_9_of_the_paper() -> None:
    """Z' = Z + h v(Z, t) + h^2 / 2 v^(1)(Z, t), and v^(1) = (v(Z + d v(Z, t), t + d) - v(Z, t)) / d with d = h / 2."""
    schedule = Schedule.flow_matching(6, shift=3.0)

    def velocity(z: Tensor, level: float) -> Tensor:
        return torch.tanh(z.roll(1, 2)) + torch.sin(torch.tensor(schedule.timestep(level) / 1000))

    t, h = schedule.noises[2], schedule.noises[3] - schedule.noises[2]
    v, delta = torch.tanh(CLEAN.roll(1, 2)) + math.sin(t), h / 2
    later = torch.tanh((CLEAN + delta * v).roll(1, 2)) + math.sin(t + delta)
    expected = CLEAN + h * v + h**2 / 2 * (later - v) / delta
    assert torch.allclose(rf_solver_step(velocity, CLEAN, 2, schedule), expected, atol=1e-6)


def off(steps: int, solver: Solver) -> float:
    """How far inversion ends from where dz/dt = (t + 1) z with z(0) = 1 does, exp(3 / 2)."""
    schedule = Schedule.flow_matching(steps)
    start = State(torch.ones((1, 1, 1, 1), dtype=torch.float64), 0)
    *_, end = invert(lambda z, level: (schedule.timestep(level) / 1000 + 1) * z, start, schedule, solver)
    return abs(float(end.x) - math.exp(1.5))


def test_inversion_with_it_is_of_second_order() -> None:
    assert 3.5 < off(8, RFSolver()) / off(16, RFSolver()) < 4.6
    assert off(16, RFSolver()) < off(32, DDIM(at_destination=False)) / 10


def test_it_ends_where_the_flow_of_a_gaussian_does() -> None:
    """Which keeps how many standard deviations a value is from its mean: (x - mean) / s."""

    def miss(steps: int) -> float:
        schedule = BACKEND.schedule(steps)
        start = State(CLEAN, 0)
        *_, end = invert(
            lambda x, level: BACKEND.predict(x, schedule.timestep(level), TEXT), start, schedule, RFSolver()
        )
        return float((end.x - (CLEAN - MEAN) / 0.5).abs().max())

    assert miss(24) < 0.4 * miss(12) and miss(24) < 0.01


def test_it_asks_at_the_level_and_halfway_to_the_next() -> None:
    schedule, asked = Schedule.flow_matching(2), list[float]()

    def predict(x: Tensor, level: float) -> Tensor:
        asked.append(schedule.timestep(level))
        return torch.zeros_like(x)

    list(invert(predict, State(CLEAN, 0), schedule, RFSolver()))
    assert asked == [500.0, 250.0, 500.0, 750.0]  # of the clean level, at the time of level 1


def test_what_it_refuses_and_how_it_samples() -> None:
    schedule = Schedule.flow_matching(2)
    with pytest.raises(OptionError, match="halfway inverts without regularisation"):
        next(invert(lambda x, level: x, State(CLEAN, 0), schedule, RFSolver(), refine=lambda eps, level: eps))
    with pytest.raises(OptionError, match="rounds is 1; a solver that looks back"):
        next(invert(lambda x, level: x, State(CLEAN, 0), schedule, RFSolver(), rounds=1))
    state, estimate = State(CLEAN, 1), schedule.estimate(CLEAN, CLEAN, 1)
    assert torch.equal(RFSolver().step(state, estimate, schedule, 0), DPMSolver2M().step(state, estimate, schedule, 0))
    assert [name for name, solver in SOLVERS.items() if solver.halfway] == ["rf"]


def test_what_returns_is_nearer_than_by_ddim_and_farther_than_by_2m() -> None:
    """With a given number of calls: what docs/architecture.md says of its table."""
    flow = gaussian()
    paths = {name: flow.inverted(name, 8 if name == "rf" else 12) for name in ("2m", "rf")}
    missed = {name: miss_of(flow.returned(name, path), flow.clean) for name, path in paths.items()}
    same_steps = miss_of(flow.returned("ddim", flow.inverted("ddim", 8)), flow.clean)
    assert missed["2m"] < missed["rf"] < same_steps
