"""The loops against exact solutions, for data whose ideal network and whose ODE are known in closed form.

Data is normal with MEAN and STD in every element. Then x of a level is normal with mean signal MEAN and variance
signal^2 STD^2 + noise^2, the network that was trained perfectly is linear in x, and the probability flow moves each
element so that its place in its distribution, (x - mean) / deviation, stays the same.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solvers import DDIM, DPMSolver2M, KnownSecondOrder, Solver, State, second_order_term

MEAN, STD = 0.7, 0.4

Family = Callable[[int], Schedule]


def flow(steps: int) -> Schedule:
    return Schedule.flow_matching(steps)


def shifted_flow(steps: int) -> Schedule:
    return Schedule.flow_matching(steps, shift=3.0)


def cosine(steps: int) -> Schedule:
    """Variance-preserving."""
    alphas = [1.0, *(math.cos(level / steps * math.pi / 2) ** 2 for level in range(1, steps)), 0.0]
    return Schedule.variance_preserving(range(1, steps + 1), alphas, Prediction.VELOCITY)


WHOLE = [flow, shifted_flow, cosine]
"""From clean latents to pure noise: lambda goes from infinity to minus infinity."""


def even_flow(steps: int) -> Schedule:
    times = tuple(1 / (1 + math.exp(lambda_)) for lambda_ in even(steps))
    return Schedule(times[1:], tuple(1 - t for t in times), times, Prediction.FLOW)


def even_preserving(steps: int) -> Schedule:
    alphas = [1 / (1 + math.exp(-2 * lambda_)) for lambda_ in even(steps)]
    return Schedule.variance_preserving(range(1, steps + 1), alphas, Prediction.EPSILON)


def even(steps: int) -> list[float]:
    return [2.5 - 5 * level / steps for level in range(steps + 1)]


EVEN = [even_flow, even_preserving]
"""In even steps of lambda, between bounds, as the theory of the solvers' orders wants it."""


def ideal(schedule: Schedule) -> Callable[[Tensor, float], Tensor]:
    """The network: the expectation of what it predicts, given x."""

    def predict(x: Tensor, level: float) -> Tensor:
        signal, noise = schedule.signals[int(level)], schedule.noises[int(level)]
        away = (x - signal * MEAN) / (signal**2 * STD**2 + noise**2)
        x0, eps = MEAN + signal * STD**2 * away, noise * away
        return {
            Prediction.EPSILON: eps,
            Prediction.VELOCITY: signal * eps - noise * x0,
            Prediction.FLOW: eps - x0,
        }[schedule.prediction]

    return predict


def exact(x: Tensor, schedule: Schedule, level: int, to: int) -> Tensor:
    """Where the probability flow takes ``x`` of ``level``."""

    def deviation(level: int) -> float:
        return math.hypot(schedule.signals[level] * STD, schedule.noises[level])

    moved = (x - schedule.signals[level] * MEAN) * deviation(to) / deviation(level)
    return moved + schedule.signals[to] * MEAN


def down(x: Tensor, schedule: Schedule, solver: Solver) -> Tensor:
    predict = ideal(schedule)
    *_, last = sample(lambda x, level: (x, predict(x, level)), State(x, schedule.steps), schedule, solver)
    return last.x


def up(x: Tensor, schedule: Schedule, solver: Solver, rounds: int = 0) -> list[Tensor]:
    """Every level, the clean one first."""
    return [x, *(state.x for state in invert(ideal(schedule), State(x, 0), schedule, solver, rounds))]


def latents(seed: int = 0) -> Tensor:
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def orders(error: Callable[[int], float]) -> list[float]:
    """The order of convergence, between 64 and 128 and between 128 and 256 steps."""
    return [math.log2(coarse / fine) for coarse, fine in pairwise(error(steps) for steps in (64, 128, 256))]


def sampling_error(family: Family, steps: int, solver: Solver) -> float:
    schedule, x = family(steps), latents()
    return float((down(x, schedule, solver) - exact(x, schedule, steps, 0)).abs().max())


def inversion_error(family: Family, steps: int, solver: Solver) -> float:
    schedule, x = family(steps), MEAN + STD * latents()
    return float((up(x, schedule, solver)[-1] - exact(x, schedule, 0, steps)).abs().max())


def return_error(family: Family, steps: int, solver: Solver) -> float:
    schedule, x = family(steps), MEAN + STD * latents()
    return float((down(up(x, schedule, solver)[-1], schedule, solver) - x).abs().max())


@pytest.mark.parametrize("error", [sampling_error, inversion_error, return_error])
@pytest.mark.parametrize(("solver", "order"), [(DDIM(), 1), (DDIM(at_destination=False), 1), (DPMSolver2M(), 2)])
@pytest.mark.parametrize("family", EVEN)
def test_each_solver_converges_in_its_order(
    family: Family, solver: Solver, order: int, error: Callable[[Family, int, Solver], float]
) -> None:
    assert orders(lambda steps: error(family, steps, solver)) == pytest.approx([order, order], abs=0.3)


@pytest.mark.parametrize("error", [sampling_error, inversion_error, return_error])
@pytest.mark.parametrize("family", WHOLE)
def test_whole_schedules_converge_to_the_exact_solution(
    family: Family, error: Callable[[Family, int, Solver], float]
) -> None:
    """At their ends steps in lambda stay long however many there are, which costs second order a logarithm."""
    first, second = ([error(family, steps, solver) for steps in (100, 400)] for solver in (DDIM(), DPMSolver2M()))
    assert first[1] < 0.5 * first[0] < 0.1
    assert second[1] < 0.15 * second[0] and second[1] < 0.1 * first[1]


@pytest.mark.parametrize("family", [*WHOLE, *EVEN])
def test_corrected_inversion_comes_back_exactly(family: Family) -> None:
    schedule, x = family(10), MEAN + STD * latents()
    plain, corrected = (down(up(x, schedule, DDIM(), rounds)[-1], schedule, DDIM()) - x for rounds in (0, 40))
    assert float(corrected.abs().max()) < 1e-5 < float(plain.abs().max())


def known_error(family: Family, steps: int) -> float:
    schedule, x = family(steps), latents()
    path = [exact(x, schedule, steps, level) for level in range(steps + 1)]
    solver = KnownSecondOrder(lambda level: second_order_term(path.__getitem__, schedule, level))
    return float((down(x, schedule, solver) - path[0]).abs().max())


@pytest.mark.parametrize("family", EVEN)
def test_a_known_trajectory_gives_second_order(family: Family) -> None:
    assert min(orders(lambda steps: known_error(family, steps))) > 1.7


@pytest.mark.parametrize("family", [*WHOLE, *EVEN])
def test_a_known_trajectory_leads_closer_than_none(family: Family) -> None:
    assert known_error(family, 40) < 0.2 * sampling_error(family, 40, DDIM())
