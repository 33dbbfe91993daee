"""The schedule, the step and guidance, against diffusers' own and against their formulas."""

import math
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.solver import Answer, lookahead, solver_step
from pnpvideo.diffusion.trajectory import Noised
from pnpvideo.errors import OptionError
from pnpvideo.injection import Lanes, Moment, Until

CONFIG: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 3, 20, 50, 999])
def test_timesteps_are_those_of_diffusers(spacing: str, steps: int) -> None:
    config = {**CONFIG, "timestep_spacing": spacing}
    theirs = DDIMScheduler(**config)
    theirs.set_timesteps(steps)
    assert Schedule.from_config(config, steps).timesteps == tuple(reversed(theirs.timesteps.tolist()))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("from_one", [False, True])
def test_a_step_is_that_of_diffusers(prediction: str, from_one: bool) -> None:
    config = {**CONFIG, "prediction_type": prediction, "set_alpha_to_one": from_one, "clip_sample": False}
    theirs, ours = DDIMScheduler(**config), Schedule.from_config(config, 20)
    theirs.set_timesteps(20)
    # Its own alphas are fp32, whose rounding alone is 3e-6 in the result: the truth is its step in float64.
    betas = torch.linspace(CONFIG["beta_start"] ** 0.5, CONFIG["beta_end"] ** 0.5, 1000, dtype=torch.float64).square()
    theirs.alphas_cumprod = (1 - betas).cumprod(0)
    theirs.final_alpha_cumprod = torch.ones(()) if from_one else theirs.alphas_cumprod[0]
    x, output = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for level in range(20, 0, -1):
        expected = theirs.step(output.double(), ours.timestep(level), x.double()).prev_sample
        stepped = solver_step(x, Answer.of(x, output, ours, level), None, ours, level - 1)
        assert torch.allclose(stepped.double(), expected, rtol=0, atol=1e-6)


def smooth(x: Tensor, timestep: int) -> Tensor:
    """Stands for a network."""
    return torch.tanh(0.4 * x.roll(1, 2)) * (0.5 + timestep / 2000)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers' own
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_multistep_sampling_is_that_of_diffusers(prediction: str) -> None:
    """Its first and last steps are of first order too; asked for its steps at our timesteps."""
    config = {**CONFIG, "prediction_type": prediction, "set_alpha_to_one": True}
    ours = Schedule.from_config(config, 12, spacing="karras")
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
    states = sample(lambda x, level: (x, smooth(x, ours.timestep(level))), start, ours, ours.steps, solver="2m")
    x = start
    for timestep, state in zip(reversed(ours.timesteps), states, strict=True):
        x = theirs.step(smooth(x, timestep), timestep, x).prev_sample
        assert torch.allclose(state.x, x, rtol=0, atol=1e-4 * float(x.abs().max()))


def test_multistep_goes_back_closer_in_fewer_steps() -> None:
    """Up and down in second order, 20 steps return closer than 80 of DDIM do, and twice as many steps, closer still."""
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def miss(steps: int, solver: str, spacing: str) -> float:
        schedule = Schedule.from_config(CONFIG, steps, spacing)

        def predict(x: Tensor, level: int) -> Tensor:
            return smooth(x, schedule.timestep(level))

        *_, noisy = invert(predict, clean, schedule, convention="source", solver=solver)
        *_, back = sample(lambda x, level: (x, predict(x, level)), noisy.x, schedule, steps, solver=solver)
        return float((back.x - clean).abs().max())

    assert miss(20, "2m", "karras") < miss(80, "ddim", "checkpoint")
    assert miss(40, "2m", "karras") < 0.5 * miss(20, "2m", "karras")


@pytest.mark.parametrize("from_one", [False, True])
def test_a_known_path_says_how_far_the_clean_latents_move_in_half_a_step(from_one: bool) -> None:
    """On a path whose x0 moves evenly in log SNR, each step made with that of its middle."""
    schedule = Schedule.from_config({**CONFIG, "set_alpha_to_one": from_one}, 12, "karras")
    draw = torch.Generator().manual_seed(0)
    start, pace, x = (torch.randn(1, 4, 8, 8, generator=draw, dtype=torch.float64) for _ in range(3))
    path = {schedule.steps: x}
    for level in range(schedule.steps, 0, -1):
        here, there = schedule.half_log_snr(level), schedule.half_log_snr(level - 1)
        clean = start + pace * (here if math.isinf(there) else (here + there) / 2)
        eps = (path[level] - schedule.alphas[level] ** 0.5 * clean) / (1 - schedule.alphas[level]) ** 0.5
        path[level - 1] = schedule.alphas[level - 1] ** 0.5 * clean + (1 - schedule.alphas[level - 1]) ** 0.5 * eps
    assert lookahead(path.__getitem__, schedule, schedule.steps) is None
    assert lookahead(path.__getitem__, schedule, 1) is None
    for level in range(2, schedule.steps):
        found = lookahead(path.__getitem__, schedule, level)
        expected = pace * (schedule.half_log_snr(level - 1) - schedule.half_log_snr(level)) / 2
        assert found is not None and torch.allclose(found, expected, rtol=0, atol=1e-9)


def test_a_known_path_makes_the_way_back_second_order() -> None:
    """Told how the path bends, it returns closer, and with twice as many steps four times closer."""
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def miss(steps: int, known: bool) -> float:
        schedule = Schedule.from_config(CONFIG, steps, "karras")

        def predict(x: Tensor, level: int) -> Tensor:
            return smooth(x, schedule.timestep(level))

        def ahead(level: int) -> Tensor | None:
            return lookahead(path.__getitem__, schedule, level)

        path = [clean, *(state.x for state in invert(predict, clean, schedule, solver="2m"))]
        *_, back = sample(
            lambda x, level: (x, predict(x, level)), path[-1], schedule, steps, ahead=ahead if known else None
        )
        return float((back.x - clean).abs().max())

    assert miss(20, known=True) < 0.2 * miss(20, known=False)
    assert miss(40, known=True) < 0.3 * miss(20, known=True)


def test_a_path_under_one_noise_does_not_bend() -> None:
    """And one from pure noise, which knows no clean latents above, is DDIM's there."""
    pure = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}
    schedule = Schedule.from_config({**CONFIG, **pure}, 12, "karras")
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    path = Noised(clean, noise, schedule)
    assert lookahead(path.at, schedule, 11) is None
    for level in range(2, 11):
        found = lookahead(path.at, schedule, level)
        assert found is not None and float(found.abs().max()) < 1e-4


@pytest.mark.parametrize("spacing", ["karras", "checkpoint"])
def test_multistep_goes_up_to_pure_noise_and_back(spacing: str) -> None:
    """Zero terminal signal, as the v-predicting checkpoints have it."""
    pure = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}
    schedule = Schedule.from_config({**CONFIG, **pure}, 40, spacing)
    assert schedule.alphas[-1] == 0
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def predict(x: Tensor, level: int) -> Tensor:
        return smooth(x, schedule.timestep(level))

    *_, noisy = invert(predict, clean, schedule, solver="2m")
    *_, back = sample(lambda x, level: (x, predict(x, level)), noisy.x, schedule, 40, solver="2m")
    assert bool(torch.isfinite(noisy.x).all()) and bool(torch.isfinite(back.x).all())


@pytest.mark.parametrize("solver", ["ddim", "2m"])
def test_a_run_that_stops_goes_on_as_if_it_had_not(solver: str) -> None:
    schedule = Schedule.from_config(CONFIG, 6, "karras")
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def predict(x: Tensor, level: int) -> Tensor:
        return smooth(x, schedule.timestep(level))

    def up(x: Tensor, level: int = 0, before: Tensor | None = None) -> list[Any]:
        return list(invert(predict, x, schedule, level, "source", solver=solver, before=before))

    def down(x: Tensor, level: int, before: Tensor | None = None) -> list[Any]:
        return list(sample(lambda x, level: (x, predict(x, level)), x, schedule, level, solver=solver, before=before))

    whole = up(clean)
    for state in whole[:-1]:
        assert torch.equal(up(state.x, state.level, state.before)[-1].x, whole[-1].x)
    back = down(whole[-1].x, 6)
    for state in back[:-1]:
        assert torch.equal(down(state.x, state.level, state.before)[-1].x, back[-1].x)


def test_multistep_inverts_by_one_convention() -> None:
    schedule, x = Schedule.from_config(CONFIG, 2), torch.ones(1, 1, 1, 1)
    for asked in ({"convention": "destination"}, {"convention": "source", "rounds": 1}):
        with pytest.raises(OptionError, match="2m"):
            next(invert(lambda x, level: x, x, schedule, solver="2m", **asked))


@pytest.mark.parametrize("steps", [1, 2, 8, 20, 200, 999])
@pytest.mark.parametrize("extra", [{}, {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True}])
def test_karras_spacing_is_even_in_the_third_root_of_sigma(steps: int, extra: dict[str, Any]) -> None:
    if extra and steps == 999:
        with pytest.raises(OptionError, match="has room for"):
            Schedule.from_config({**CONFIG, **extra}, steps, "karras")
        return
    schedule = Schedule.from_config({**CONFIG, **extra}, steps, "karras")
    assert schedule.timesteps[0] >= 0
    usual = Schedule.from_config({**CONFIG, **extra}, max(50, steps))
    assert len(schedule.timesteps) == steps
    assert list(schedule.timesteps) == sorted(set(schedule.timesteps))
    assert schedule.timesteps[-1] == usual.timesteps[-1] or steps == 1
    if steps == 20:
        roots = [((1 - alpha) / alpha) ** (1 / 6) for alpha in schedule.alphas[1:] if alpha > 1e-6]
        gaps = torch.tensor(roots).diff()
        assert torch.allclose(gaps, gaps.mean().expand_as(gaps), rtol=0.15)
        assert schedule.timesteps[0] == usual.timesteps[0]


def test_more_steps_bring_the_picture_back_closer() -> None:
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def error(steps: int) -> float:
        schedule = Schedule.from_config(CONFIG, steps)

        def predict(x: Tensor, level: int) -> Tensor:
            return torch.tanh(x.roll(1, 2)) * (0.5 + schedule.timestep(level) / 2000)

        *_, noisy = invert(predict, clean, schedule)
        *_, back = sample(lambda x, level: (x, predict(x, level)), noisy.x, schedule, steps)
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
    schedule = Schedule.from_config({**CONFIG, "prediction_type": prediction, "set_alpha_to_one": False}, 10)

    def predict(x: Tensor, timestep: int) -> Tensor:
        eps = smooth(x, timestep)
        if prediction == "epsilon":
            return eps
        alpha = float(theirs.alphas_cumprod[timestep])
        source = (x - (1 - alpha) ** 0.5 * eps) / alpha**0.5
        return source if prediction == "sample" else alpha**0.5 * eps - (1 - alpha) ** 0.5 * source

    def miss(rounds: int) -> float:
        below, worst = clean.float(), 0.0
        for x, level, _ in invert(
            lambda x, level: predict(x, schedule.timestep(level)), clean, schedule, rounds=rounds
        ):
            timestep = schedule.timestep(level)
            back = theirs.step(predict(x, timestep), timestep, x).prev_sample
            worst, below = max(worst, float((back - below).abs().max())), x
        return worst

    misses = [miss(rounds) for rounds in (0, 1, 2, 40)]
    assert misses == sorted(misses, reverse=True) and misses[0] > 100 * misses[-1]
    assert misses[-1] < 2e-4


def test_a_round_asks_where_the_last_guess_is() -> None:
    schedule, asked = Schedule.from_config(CONFIG, 2), list[tuple[float, int]]()

    def predict(x: Tensor, level: int) -> Tensor:
        asked.append((float(x), schedule.timestep(level)))
        return 0.5 * x

    a, b, _ = schedule.alphas
    first, _ = invert(predict, torch.ones(1, 1, 1, 1), schedule, rounds=1)

    def step(eps: float) -> float:
        return b**0.5 * (1 - (1 - a) ** 0.5 * eps) / a**0.5 + (1 - b) ** 0.5 * eps

    low, high = schedule.timesteps
    guess = step(0.5 * 1)
    assert asked[:2] == [(1.0, low), (pytest.approx(guess), low)]
    assert float(first.x) == pytest.approx(step(0.5 * guess))
    assert [timestep for _, timestep in asked] == [low, low, high, high]


@pytest.mark.parametrize(("decay", "half"), [("constant", 0.8), ("linear", 0.4), ("exp", 0.8 * math.exp(-3))])
def test_the_negative_prompt_comes_in(decay: str, half: float) -> None:
    guidance = Guidance(scale=3.0, negative=True, empty_share=0.8, decay=decay)
    assert guidance.share(0, 11) == 0.8
    assert guidance.share(5, 11) == pytest.approx(half)
    parts = {name: torch.full((1,), value) for name, value in (("empty", 1.0), ("negative", 2.0), ("positive", 5.0))}
    base = half * 1.0 + (1 - half) * 2.0
    assert guidance.combine(parts, 5, 11).item() == pytest.approx(base + 3 * (5 - base), rel=1e-6)


def test_only_lanes_that_count_are_asked() -> None:
    assert Guidance(scale=1.0, negative=True).lanes(0, 10) == ("positive",)
    assert Guidance(scale=2.0).lanes(9, 10) == ("empty", "positive")
    linear = Guidance(scale=2.0, negative=True)
    assert [linear.lanes(step, 3) for step in range(3)] == [
        ("empty", "positive"),
        ("empty", "negative", "positive"),
        ("negative", "positive"),
    ]


def test_outside_of_its_span_there_is_no_guidance() -> None:
    guidance = Guidance(scale=3.0, negative=True, span=(0.2, 0.6))
    asked = [guidance.lanes(step, 10) for step in range(10)]
    assert [lanes == ("positive",) for lanes in asked] == [not 2 <= step < 6 for step in range(10)]
    parts = {"positive": torch.full((1,), 5.0), "empty": torch.zeros(1), "negative": torch.zeros(1)}
    assert [guidance.combine(parts, step, 10).item() for step in (1, 2, 5, 6)] == [5.0, 15.0, 15.0, 5.0]


def test_lanes_stack_what_they_split() -> None:
    lanes, batch = Lanes(("source", "empty", "positive"), (3, 7)), torch.arange(6)
    assert {name: part.tolist() for name, part in lanes.split(batch).items()} == {
        "source": [0, 1],
        "empty": [2, 3],
        "positive": [4, 5],
    }
    assert torch.equal(lanes.stack(lanes.split(batch)), batch)
    assert lanes.edited == ("empty", "positive")


@pytest.mark.parametrize(("share", "steps", "first"), [(0.8, 50, 40), (0.5, 50, 25), (0.0, 50, 0), (1.0, 7, 7)])
def test_a_window_is_the_first_steps(share: float, steps: int, first: int) -> None:
    assert [step for step in range(steps) if Moment(step, steps, 0) in Until(share)] == list(range(first))
