"""Schedules from diffusers configs: the timesteps are diffusers' own, and what makes no schedule is refused."""

import inspect
from typing import Any

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler

from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.diffusion.scheduler_config import CLEAN_BY_DEFAULT, SPACINGS, schedule_from_config
from pnpvideo.errors import ModelError, OptionError
from pnpvideo.kinds import Choice
from pnpvideo.settings.options import KNOWN

FLOW = "FlowMatchEulerDiscreteScheduler"
CONFIG: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PURE_NOISE: dict[str, Any] = {
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": True,
}


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 3, 20, 50, 999])
def test_timesteps_are_those_of_diffusers(spacing: str, steps: int) -> None:
    config = {**CONFIG, "timestep_spacing": spacing}
    theirs = DDIMScheduler(**config)
    theirs.set_timesteps(steps)
    assert schedule_from_config(config, steps).timesteps == tuple(reversed(theirs.timesteps.tolist()))


@pytest.mark.parametrize("steps", [1, 2, 8, 20, 200, 999])
@pytest.mark.parametrize("extra", [{}, PURE_NOISE])
def test_karras_spacing_is_even_in_the_third_root_of_sigma(steps: int, extra: dict[str, Any]) -> None:
    if extra and steps == 999:
        with pytest.raises(OptionError, match="has room for"):
            schedule_from_config({**CONFIG, **extra}, steps, "karras")
        return
    schedule = schedule_from_config({**CONFIG, **extra}, steps, "karras")
    assert schedule.timesteps[0] >= 0
    usual = schedule_from_config({**CONFIG, **extra}, max(50, steps))
    assert len(schedule.timesteps) == steps
    assert list(schedule.timesteps) == sorted(set(schedule.timesteps))
    assert schedule.timesteps[-1] == usual.timesteps[-1] or steps == 1
    if steps == 20:
        sigmas = [
            noise / signal for signal, noise in zip(schedule.signals[1:], schedule.noises[1:], strict=True) if signal
        ]
        roots = [sigma ** (1 / 3) for sigma in sigmas]
        gaps = torch.tensor(roots).diff()
        assert torch.allclose(gaps, gaps.mean().expand_as(gaps), rtol=0.15)
        assert schedule.timesteps[0] == usual.timesteps[0]


@pytest.mark.parametrize("from_one", [False, True])
def test_signal_and_noise_are_those_of_diffusers(from_one: bool) -> None:
    config = {**CONFIG, "set_alpha_to_one": from_one}
    theirs, ours = DDIMScheduler(**config), schedule_from_config(config, 20)
    alphas = [theirs.final_alpha_cumprod, *(theirs.alphas_cumprod[int(t)] for t in ours.timesteps)]
    assert ours.signals == pytest.approx([float(alpha) ** 0.5 for alpha in alphas], rel=1e-4)
    assert ours.noises == pytest.approx([(1 - float(alpha)) ** 0.5 for alpha in alphas], rel=1e-4)
    assert ours.prediction is Prediction.EPSILON


def test_the_schedulers_that_say_whether_they_end_clean_are_those_of_diffusers() -> None:
    """By their signatures; those of a kind of video model are not read."""
    found: dict[str, bool] = {}
    for name in dir(diffusers):
        if name.endswith("Scheduler") and "CogVideoX" not in name and isinstance(getattr(diffusers, name), type):
            stated = inspect.signature(getattr(diffusers, name)).parameters.get("set_alpha_to_one")
            found |= {} if stated is None else {name: stated.default}
    assert found == CLEAN_BY_DEFAULT


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers
@pytest.mark.parametrize("extra", [{}, {"set_alpha_to_one": False}, {"set_alpha_to_one": True}])
@pytest.mark.parametrize(
    "kind",
    [
        *(diffusers.DDIMScheduler, diffusers.PNDMScheduler, diffusers.LCMScheduler),
        *(diffusers.EulerDiscreteScheduler, diffusers.EulerAncestralDiscreteScheduler),
        *(diffusers.DPMSolverMultistepScheduler, diffusers.HeunDiscreteScheduler),
    ],
)
def test_the_last_level_is_as_clean_as_diffusers_has_it(kind: Any, extra: dict[str, bool]) -> None:
    """SDXL's published config has the key, and a class that does not know it."""
    config = {**CONFIG, "_class_name": kind.__name__, **extra}
    theirs = kind.from_config(config)
    if hasattr(theirs, "final_alpha_cumprod"):
        noise = float(1 - theirs.final_alpha_cumprod) ** 0.5
    else:
        theirs.set_timesteps(10)
        sigma = float(theirs.sigmas[-1])
        noise = sigma / (1 + sigma**2) ** 0.5
    assert schedule_from_config(config, 10).noises[0] == pytest.approx(noise, abs=1e-4)


def test_zero_terminal_snr_ends_in_pure_noise() -> None:
    schedule = schedule_from_config({**CONFIG, **PURE_NOISE}, 10)
    assert (schedule.signals[-1], schedule.noises[-1]) == (0.0, 1.0)
    assert schedule.signals[-2] > 0


def test_the_options_offer_the_spacings_that_there_are() -> None:
    offered = KNOWN["spacing"].kind
    assert isinstance(offered, Choice) and sorted(offered.values) == sorted(SPACINGS)
    with pytest.raises(OptionError, match="spacing is 'even'; accepted: karras, checkpoint"):
        schedule_from_config(CONFIG, 10, "even")


def test_predicting_noise_from_pure_noise_is_refused() -> None:
    """Not before: a run that starts lower never asks there."""
    schedule, x = (
        schedule_from_config({**CONFIG, **PURE_NOISE, "prediction_type": "epsilon"}, 10),
        torch.ones(1, 1, 1, 1),
    )
    assert torch.isfinite(schedule.estimate(x, x, 9).x0).all()
    with pytest.raises(ModelError, match="needs prediction_type v_prediction or sample"):
        schedule.estimate(x, x, 10)


def test_a_flow_matching_config_has_levels_of_its_own() -> None:
    """Even, from the lowest training level on, which is shifted as well; then shifted."""
    schedule = schedule_from_config({"_class_name": FLOW, "shift": 3.0}, 2)
    lowest = 3 * 0.001 / (1 + 2 * 0.001)
    assert schedule.prediction is Prediction.FLOW
    assert schedule.noises == pytest.approx((0, 3 * lowest / (1 + 2 * lowest), 1))
    assert schedule_from_config({"_class_name": FLOW}, 1).noises == (0, 1)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"_class_name": "FlowMatchHeunDiscreteScheduler"}, "is a FlowMatchHeunDiscreteScheduler; of flow matching"),
        ({"use_dynamic_shifting": True}, "use_dynamic_shifting is True; accepted is a fixed shift"),
        ({"shift": 0}, "shift is 0"),
    ],
)
def test_other_flow_matching_configs_are_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ModelError, match=match):
        schedule_from_config({"_class_name": FLOW, "shift": 3.0, **changes}, 10)
    with pytest.raises(OptionError, match="steps is 1001"):
        schedule_from_config({"_class_name": FLOW}, 1001)
