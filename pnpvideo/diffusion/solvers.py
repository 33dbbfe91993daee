"""Solvers of the probability-flow ODE: one step from a noise level to a neighbour, up or down.

A step is written in the (signal, noise) of its two levels, so it is the same for every schedule. In this form DDIM's
step is also Euler's step on the velocity of a flow-matching model (arXiv 2403.03206, section 3).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from pnpvideo.diffusion.prediction import Estimate
from pnpvideo.diffusion.schedule import Schedule


class State(NamedTuple):
    """Where a run is: what a loop starts from, and yields after every step."""

    x: Tensor
    """Latents (f, c, h, w), fp32."""
    level: int
    """The noise level that they are at."""
    previous_x0: Tensor | None = None
    """The x0 that the network estimated at the level that the last step, of the same direction, came from."""


class Solver(Protocol):
    """How an estimate becomes a step."""

    @property
    def looks_back(self) -> bool:
        """Does it use the x0 of the step before?"""
        ...

    @property
    def at_destination(self) -> bool:
        """When it inverts, is the network asked at the timestep of the level that the step goes to?"""
        ...

    @property
    def halfway(self) -> bool:
        """When it inverts, is the network asked a second time, halfway to the next level? For flow matching only."""
        ...

    def step(self, state: State, estimate: Estimate, schedule: Schedule, to: int) -> Tensor:
        """The latents of level ``to``, a neighbour of the state's, by the network's estimate at the state."""
        ...


@dataclass(frozen=True)
class DDIM:
    """First order: x_to = signal_to x0 + noise_to eps (DDIM, arXiv 2010.02502, eq. 12 with sigma = 0).

    at_destination: invert with eps at (x_i, t_{i+1}), as most codes do; False: at (x_i, t_i), as the paper has it.
    """

    at_destination: bool = True
    looks_back = False
    halfway = False

    def step(self, state: State, estimate: Estimate, schedule: Schedule, to: int) -> Tensor:
        return schedule.mix(estimate.x0, estimate.eps, to)


@dataclass(frozen=True)
class DPMSolver2M:
    """Second order, one evaluation a step: DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2), up as well as down.

    DDIM's step with D = x0 + h / (2 h_previous) (x0 - previous x0) in place of x0; h is the step's length in lambda.
    A step without a previous one, the last step down, and a step up to pure noise are DDIM's.
    """

    looks_back = True
    at_destination = False
    halfway = False

    def step(self, state: State, estimate: Estimate, schedule: Schedule, to: int) -> Tensor:
        level, previous = state.level, 2 * state.level - to
        first_order = to == 0 or schedule.signals[to] == 0 or not 0 <= previous <= schedule.steps
        if first_order or state.previous_x0 is None:
            return schedule.mix(estimate.x0, estimate.eps, to)
        h = schedule.half_log_snr(to) - schedule.half_log_snr(level)
        h_previous = schedule.half_log_snr(level) - schedule.half_log_snr(previous)  # infinite after pure noise
        term = h / (2 * h_previous) * (estimate.x0 - state.previous_x0)
        return _step_by(estimate.x0 + term, state, schedule, to)


@dataclass(frozen=True)
class RFSolver(DPMSolver2M):
    """Invert by RF-Solver's step (see rf_solver), two network calls each; sample as DPMSolver2M, one call a step."""

    halfway = True


@dataclass(frozen=True)
class KnownSecondOrder:
    """DDIM's step with D = x0 + ``term(level)`` in place of x0; DDIM's own where the term is None.

    For a run beside a trajectory that is known at every level and bends as this one does: see second_order_term().
    """

    term: Callable[[int], Tensor | None]
    looks_back = False
    at_destination = False
    halfway = False

    def step(self, state: State, estimate: Estimate, schedule: Schedule, to: int) -> Tensor:
        term = self.term(state.level)
        if term is None:
            return schedule.mix(estimate.x0, estimate.eps, to)
        return _step_by(estimate.x0 + term, state, schedule, to)


SOLVERS: Mapping[str, Solver] = {"2m": DPMSolver2M(), "ddim": DDIM(), "rf": RFSolver()}


def ddim_step(x: Tensor, eps: Tensor, schedule: Schedule, level: int, to: int) -> Tensor:
    """DDIM's step from ``x`` (f, c, h, w) of ``level``, which must have signal, with ``eps`` from any evaluation."""
    signal, noise = schedule.signals[level], schedule.noises[level]
    return schedule.signals[to] * (x - noise * eps) / signal + schedule.noises[to] * eps


def second_order_term(at: Callable[[int], Tensor], schedule: Schedule, level: int) -> Tensor | None:
    """How far x0 moves in half a step down from ``level``, on a trajectory whose latents ``at(level)`` are known.

    Any step goes by one x0, which is right for its middle. So the change from the step before to this one, over their
    distance in lambda, is the slope, and no network is asked. None for the first step down, which has no step before
    it, for the one after pure noise, and for the last one, which is DDIM's.
    """
    if not 1 < level < schedule.steps or schedule.signals[level + 1] == 0:
        return None
    lambda_previous, lambda_level, lambda_to = (schedule.half_log_snr(place) for place in (level + 1, level, level - 1))
    change = implied_x0(at, schedule, level) - implied_x0(at, schedule, level + 1)
    return (lambda_to - lambda_level) / (lambda_to - lambda_previous) * change


def implied_x0(at: Callable[[int], Tensor], schedule: Schedule, level: int) -> Tensor:
    """The x0 that takes the known latents ``at(level)`` down one level: both levels' x = signal x0 + noise eps."""
    signal, noise = schedule.signals[level], schedule.noises[level]
    signal_to, noise_to = schedule.signals[level - 1], schedule.noises[level - 1]
    return (noise_to * at(level) - noise * at(level - 1)) / (signal * noise_to - signal_to * noise)


def _step_by(x0: Tensor, state: State, schedule: Schedule, to: int) -> Tensor:
    """DDIM's step by this x0 and the noise that is then in the state."""
    eps = (state.x - schedule.signals[state.level] * x0) / schedule.noises[state.level]
    return schedule.mix(x0, eps, to)
