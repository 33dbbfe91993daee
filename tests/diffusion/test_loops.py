"""Sampling and inversion as loops: there and back, resumed, corrected, and up to pure noise."""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.scheduler_config import schedule_from_config
from pnpvideo.diffusion.solvers import DDIM, DPMSolver2M, KnownSecondOrder, Solver, State, second_order_term
from pnpvideo.errors import OptionError

CONFIG: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PURE_NOISE: dict[str, Any] = {
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": True,
}


def smooth(x: Tensor, timestep: float) -> Tensor:
    """Stands for a network."""
    return torch.tanh(0.4 * x.roll(1, 2)) * (0.5 + timestep / 2000)


def test_multistep_goes_back_closer_in_fewer_steps() -> None:
    """Up and down in second order, 20 steps return closer than 80 of DDIM do, and twice as many steps, closer still."""
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def miss(steps: int, solver: Solver, spacing: str) -> float:
        schedule = schedule_from_config(CONFIG, steps, spacing)

        def predict(x: Tensor, level: float) -> Tensor:
            return smooth(x, schedule.timestep(level))

        *_, noisy = invert(predict, State(clean, 0), schedule, solver)
        *_, back = sample(lambda x, level: (x, predict(x, level)), noisy, schedule, solver)
        return float((back.x - clean).abs().max())

    assert miss(20, DPMSolver2M(), "karras") < miss(80, DDIM(at_destination=False), "checkpoint")
    assert miss(40, DPMSolver2M(), "karras") < 0.5 * miss(20, DPMSolver2M(), "karras")


def test_a_known_trajectory_makes_the_way_back_second_order() -> None:
    """Told how the path bends, it returns closer, and with twice as many steps four times closer."""
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def miss(steps: int, known: bool) -> float:
        schedule = schedule_from_config(CONFIG, steps, "karras")

        def predict(x: Tensor, level: float) -> Tensor:
            return smooth(x, schedule.timestep(level))

        def term(level: int) -> Tensor | None:
            return second_order_term(path.__getitem__, schedule, level)

        path = [clean, *(state.x for state in invert(predict, State(clean, 0), schedule, DPMSolver2M()))]
        solver = KnownSecondOrder(term) if known else DDIM()
        *_, back = sample(lambda x, level: (x, predict(x, level)), State(path[-1], steps), schedule, solver)
        return float((back.x - clean).abs().max())

    assert miss(20, known=True) < 0.2 * miss(20, known=False)
    assert miss(40, known=True) < 0.3 * miss(20, known=True)


@pytest.mark.parametrize("spacing", ["karras", "checkpoint"])
def test_multistep_goes_up_to_pure_noise_and_back(spacing: str) -> None:
    """Zero terminal signal, as the v-predicting checkpoints have it."""
    schedule = schedule_from_config({**CONFIG, **PURE_NOISE}, 40, spacing)
    assert schedule.signals[-1] == 0
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def predict(x: Tensor, level: float) -> Tensor:
        return smooth(x, schedule.timestep(level))

    *_, noisy = invert(predict, State(clean, 0), schedule, DPMSolver2M())
    *_, back = sample(lambda x, level: (x, predict(x, level)), noisy, schedule, DPMSolver2M())
    assert bool(torch.isfinite(noisy.x).all()) and bool(torch.isfinite(back.x).all())


@pytest.mark.parametrize("solver", [DDIM(), DDIM(at_destination=False), DPMSolver2M()])
def test_a_run_that_stops_goes_on_as_if_it_had_not(solver: Solver) -> None:
    schedule = schedule_from_config(CONFIG, 6, "karras")
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def predict(x: Tensor, level: float) -> Tensor:
        return smooth(x, schedule.timestep(level))

    def up(start: State) -> list[State]:
        return list(invert(predict, start, schedule, solver))

    def down(start: State) -> list[State]:
        return list(sample(lambda x, level: (x, predict(x, level)), start, schedule, solver))

    whole = up(State(clean, 0))
    for state in whole[:-1]:
        assert torch.equal(up(state)[-1].x, whole[-1].x)
    back = down(whole[-1])
    assert torch.equal(down(State(whole[-1].x, 6))[-1].x, back[-1].x)  # what the way up looked back at does not count
    for state in back[:-1]:
        assert torch.equal(down(state)[-1].x, back[-1].x)
        assert (state.previous_x0 is not None) == solver.looks_back


def test_what_happens_after_a_step_is_where_the_next_one_starts() -> None:
    schedule, seen = schedule_from_config(CONFIG, 3), list[tuple[float, int]]()

    def denoise(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        seen.append((float(x), level))
        return x, torch.zeros_like(x)

    after = sample(denoise, State(torch.ones(1, 1, 1, 1), 3), schedule, DDIM(), lambda x, level: x * 0 + 10 * level)
    assert [(float(state.x), state.level) for state in after] == [(20.0, 2), (10.0, 1), (0.0, 0)]
    assert seen == [(1.0, 3), (20.0, 2), (10.0, 1)]


def test_a_solver_that_looks_back_takes_no_correction_rounds() -> None:
    schedule, x = schedule_from_config(CONFIG, 2), torch.ones(1, 1, 1, 1)
    with pytest.raises(OptionError, match="rounds is 1; a solver that looks back"):
        next(invert(lambda x, level: x, State(x, 0), schedule, DPMSolver2M(), rounds=1))


def test_more_steps_bring_the_picture_back_closer() -> None:
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def error(steps: int) -> float:
        schedule = schedule_from_config(CONFIG, steps)

        def predict(x: Tensor, level: float) -> Tensor:
            return torch.tanh(x.roll(1, 2)) * (0.5 + schedule.timestep(level) / 2000)

        *_, noisy = invert(predict, State(clean, 0), schedule, DDIM())
        *_, back = sample(lambda x, level: (x, predict(x, level)), noisy, schedule, DDIM())
        return float((back.x - clean).square().mean())

    errors = [error(steps) for steps in (5, 20, 80, 320)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 100


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_corrected_inversion_meets_the_way_down(prediction: str) -> None:
    """Solved to the end, each state is the one that a sampling step of diffusers takes back to the state below it."""
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    theirs = DDIMScheduler(**CONFIG, prediction_type=prediction, clip_sample=False, set_alpha_to_one=False)
    theirs.set_timesteps(10)
    schedule = schedule_from_config({**CONFIG, "prediction_type": prediction, "set_alpha_to_one": False}, 10)

    def predict(x: Tensor, timestep: float) -> Tensor:
        eps = smooth(x, timestep)
        if prediction == "epsilon":
            return eps
        alpha = float(theirs.alphas_cumprod[int(timestep)])
        source = (x - (1 - alpha) ** 0.5 * eps) / alpha**0.5
        return source if prediction == "sample" else alpha**0.5 * eps - (1 - alpha) ** 0.5 * source

    def miss(rounds: int) -> float:
        below, worst = clean.float(), 0.0
        start = State(clean, 0)
        for x, level, _ in invert(
            lambda x, level: predict(x, schedule.timestep(level)), start, schedule, DDIM(), rounds
        ):
            timestep = int(schedule.timestep(level))
            back = theirs.step(predict(x, timestep), timestep, x).prev_sample
            worst, below = max(worst, float((back - below).abs().max())), x
        return worst

    misses = [miss(rounds) for rounds in (0, 1, 2, 40)]
    assert misses == sorted(misses, reverse=True) and misses[0] > 100 * misses[-1]
    assert misses[-1] < 2e-4


def test_a_round_asks_where_the_last_guess_is() -> None:
    schedule, asked = schedule_from_config(CONFIG, 2), list[tuple[float, float]]()

    def predict(x: Tensor, level: float) -> Tensor:
        asked.append((float(x), schedule.timestep(level)))
        return 0.5 * x

    (a, b, _), (noise_a, noise_b, _) = schedule.signals, schedule.noises
    first, _ = invert(predict, State(torch.ones(1, 1, 1, 1), 0), schedule, DDIM(), rounds=1)

    def step(eps: float) -> float:
        return b * (1 - noise_a * eps) / a + noise_b * eps

    low, high = schedule.timesteps
    guess = step(0.5 * 1)
    assert asked[:2] == [(1.0, low), (pytest.approx(guess), low)]
    assert float(first.x) == pytest.approx(step(0.5 * guess))
    assert [timestep for _, timestep in asked] == [low, low, high, high]
