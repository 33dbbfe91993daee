"""One step of each solver, against diffusers' own and against its equation."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.scheduler_config import schedule_from_config
from pnpvideo.diffusion.solvers import (
    DDIM,
    SOLVERS,
    DPMSolver2M,
    KnownSecondOrder,
    State,
    ddim_step,
    implied_x0,
    second_order_term,
)
from pnpvideo.diffusion.trajectory import ForwardProcess
from pnpvideo.kinds import Choice
from pnpvideo.settings.options import KNOWN

CONFIG: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PURE_NOISE: dict[str, Any] = {
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": True,
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def smooth(x: Tensor, timestep: float) -> Tensor:
    """Stands for a network."""
    return torch.tanh(0.4 * x.roll(1, 2)) * (0.5 + timestep / 2000)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("from_one", [False, True])
def test_a_step_is_that_of_diffusers(prediction: str, from_one: bool) -> None:
    config = {**CONFIG, "prediction_type": prediction, "set_alpha_to_one": from_one, "clip_sample": False}
    theirs, ours = DDIMScheduler(**config), schedule_from_config(config, 20)
    theirs.set_timesteps(20)
    # Its own alphas are fp32, whose rounding alone is 3e-6 in the result: the truth is its step in float64.
    betas = torch.linspace(CONFIG["beta_start"] ** 0.5, CONFIG["beta_end"] ** 0.5, 1000, dtype=torch.float64).square()
    theirs.alphas_cumprod = (1 - betas).cumprod(0)
    theirs.final_alpha_cumprod = torch.ones(()) if from_one else theirs.alphas_cumprod[0]
    x, output = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for level in range(20, 0, -1):
        expected = theirs.step(output.double(), ours.timestep(level), x.double()).prev_sample
        stepped = DDIM().step(State(x, level), ours.estimate(x, output, level), ours, level - 1)
        assert torch.allclose(stepped.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers' own
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_multistep_sampling_is_that_of_diffusers(prediction: str) -> None:
    """Its first and last steps are of first order too; asked for its steps at our timesteps."""
    config = {**CONFIG, "prediction_type": prediction, "set_alpha_to_one": True}
    ours = schedule_from_config(config, 12, spacing="karras")
    theirs = DPMSolverMultistepScheduler(
        beta_start=CONFIG["beta_start"],
        beta_end=CONFIG["beta_end"],
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        solver_order=2,
        final_sigmas_type="zero",
    )
    theirs.set_timesteps(timesteps=list(reversed(ours.timesteps)))
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    states = sample(lambda x, level: (x, smooth(x, ours.timestep(level))), State(start, 12), ours, DPMSolver2M())
    x = start
    for timestep, state in zip(reversed(ours.timesteps), states, strict=True):
        x = theirs.step(smooth(x, timestep), timestep, x).prev_sample
        assert torch.allclose(state.x, x, rtol=0, atol=1e-4 * float(x.abs().max()))


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_a_flow_matching_step_is_eulers_and_that_of_diffusers(shift: float) -> None:
    """DDIM's step in (signal, noise) = (1 - t, t) is x + (t' - t) v."""
    steps, schedule = 8, Schedule.flow_matching(8, shift)
    theirs = FlowMatchEulerDiscreteScheduler(shift=shift)
    theirs.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps))
    assert list(reversed(schedule.timesteps)) == pytest.approx(theirs.timesteps.tolist(), rel=1e-6)
    x, velocity = noise(2, 1, 4, 8, 8)
    for level in range(steps, 0, -1):
        stepped = DDIM().step(State(x, level), schedule.estimate(x, velocity, level), schedule, level - 1)
        euler = x + (schedule.noises[level - 1] - schedule.noises[level]) * velocity
        assert torch.allclose(stepped, euler, rtol=0, atol=1e-6)
        expected = theirs.step(velocity, theirs.timesteps[steps - level], x).prev_sample
        assert torch.allclose(stepped, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("schedule", [Schedule.flow_matching(4), schedule_from_config(CONFIG, 4)])
def test_a_step_up_undoes_the_step_down_with_the_same_noise(schedule: Schedule) -> None:
    x, eps = noise(2, 1, 4, 8, 8)
    lower = ddim_step(x, eps, schedule, 3, 2)
    assert torch.allclose(ddim_step(lower, eps, schedule, 2, 3), x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("schedule", [Schedule.flow_matching(6, 3.0), schedule_from_config(CONFIG, 6, "karras")])
@pytest.mark.parametrize("solver", [DDIM(), DPMSolver2M()])
def test_the_implied_x0_takes_a_trajectory_back_exactly(solver: DDIM | DPMSolver2M, schedule: Schedule) -> None:
    """The inverse of a step, whatever the solver that made it."""

    def predict(x: Tensor, level: float) -> Tensor:
        return smooth(x, schedule.timestep(level))

    clean = noise(1, 4, 8, 8)
    path = [clean, *(state.x for state in invert(predict, State(clean, 0), schedule, solver))]
    for level in range(2, 7):
        x0 = implied_x0(path.__getitem__, schedule, level)
        eps = (path[level] - schedule.signals[level] * x0) / schedule.noises[level]
        assert torch.allclose(schedule.mix(x0, eps, level - 1), path[level - 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("from_one", [False, True])
def test_a_known_trajectory_says_how_far_x0_moves_in_half_a_step(from_one: bool) -> None:
    """On a path whose x0 moves evenly in log SNR, each step made with that of its middle."""
    schedule = schedule_from_config({**CONFIG, "set_alpha_to_one": from_one}, 12, "karras")
    draw = torch.Generator().manual_seed(0)
    start, pace, x = (torch.randn(1, 4, 8, 8, generator=draw, dtype=torch.float64) for _ in range(3))
    path = {schedule.steps: x}
    for level in range(schedule.steps, 0, -1):
        lambda_level, lambda_to = schedule.half_log_snr(level), schedule.half_log_snr(level - 1)
        x0 = start + pace * (lambda_level if math.isinf(lambda_to) else (lambda_level + lambda_to) / 2)
        eps = (path[level] - schedule.signals[level] * x0) / schedule.noises[level]
        path[level - 1] = schedule.mix(x0, eps, level - 1)
    assert second_order_term(path.__getitem__, schedule, schedule.steps) is None
    assert second_order_term(path.__getitem__, schedule, 1) is None
    for level in range(2, schedule.steps):
        found = second_order_term(path.__getitem__, schedule, level)
        expected = pace * (schedule.half_log_snr(level - 1) - schedule.half_log_snr(level)) / 2
        assert found is not None and torch.allclose(found, expected, rtol=0, atol=1e-9)


def test_a_trajectory_under_one_noise_has_no_second_order() -> None:
    """And one from pure noise, which knows no clean latents above, is DDIM's there."""
    schedule = schedule_from_config({**CONFIG, **PURE_NOISE}, 12, "karras")
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    path = ForwardProcess(clean, noise, schedule)
    assert second_order_term(path.at, schedule, 11) is None
    for level in range(2, 11):
        found = second_order_term(path.at, schedule, level)
        assert found is not None and float(found.abs().max()) < 1e-4


def test_a_term_that_is_not_known_leaves_a_first_order_step() -> None:
    schedule, (x, output) = schedule_from_config(CONFIG, 4), noise(2, 1, 4, 8, 8)
    state, estimate = State(x, 3), schedule.estimate(x, output, 3)
    plain = DDIM().step(state, estimate, schedule, 2)
    assert torch.equal(KnownSecondOrder(lambda level: None).step(state, estimate, schedule, 2), plain)
    moved = KnownSecondOrder(lambda level: 0.1 * x).step(state, estimate, schedule, 2)
    ratio = schedule.noises[2] / schedule.noises[3]
    expected = ratio * x + (schedule.signals[2] - ratio * schedule.signals[3]) * (estimate.x0 + 0.1 * x)
    assert torch.allclose(moved, expected, rtol=0, atol=1e-5)


def test_the_options_offer_the_solvers_that_there_are() -> None:
    offered = KNOWN["solver"].kind
    assert isinstance(offered, Choice) and sorted(offered.values) == sorted(SOLVERS)
