"""Read a noise schedule from the config of a diffusers scheduler, and choose the timesteps of a run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.errors import ModelError, OptionError, PnPVideoError

KARRAS_RHO = 3.0
"""Measured on the miniature: of the grids tried, the one whose inversions in 8 to 16 steps return best."""
KARRAS_MAX_SIGMA = 14.6
"""Of the noisiest level but one where a checkpoint starts from pure noise: Stable Diffusion's own noisiest."""
KARRAS_GRID = 50
"""Steps of the checkpoint's own grid whose first and last timesteps the karras spacing keeps."""
MAX_TRAIN_TIMESTEPS = 100_000
FLOW_VARIANTS = (
    "use_dynamic_shifting",
    "invert_sigmas",
    "shift_terminal",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "stochastic_sampling",
)
"""Settings of a flow-matching scheduler that are refused where they are on."""
CLEAN_BY_DEFAULT = {
    "DDIMScheduler": True,
    "DDIMParallelScheduler": True,
    "DDIMInverseScheduler": True,
    "LCMScheduler": True,
    "TCDScheduler": True,
    "PNDMScheduler": False,
}
"""Schedulers of diffusers that have set_alpha_to_one, which says whether their last step ends without any noise, and
its default. All others end so, whatever a config says: those of SDXL have the key, and Euler's class ignores it."""
PREDICTIONS = (Prediction.EPSILON, Prediction.VELOCITY, Prediction.SAMPLE)


def schedule_from_config(config: Mapping[str, Any], steps: int, spacing: str = "checkpoint") -> Schedule:
    """The schedule of ``steps`` levels above the clean one for a diffusers scheduler of this config.

    spacing: "checkpoint", the timesteps that the scheduler itself would choose (DDIM, arXiv 2010.02502); "karras", even
    steps in the third root of sigma = noise / signal (EDM, arXiv 2206.00364, eq. 5; there the seventh). Raises
    ModelError for what the config states, OptionError for ``steps`` and ``spacing``.
    """
    if spacing not in SPACINGS:
        raise OptionError(f"spacing is {spacing!r}; accepted: {', '.join(SPACINGS)}")
    if "FlowMatch" in str(config.get("_class_name")):
        return _flow_schedule(config, steps)
    train = int(_number(config, "num_train_timesteps", 1000, 1, MAX_TRAIN_TIMESTEPS, whole=True))
    if not 1 <= steps <= train:
        raise OptionError(f"steps is {steps}; this checkpoint was trained with {train} timesteps, so 1 to {train}")
    known = {prediction.value: prediction for prediction in PREDICTIONS}
    if (stated := str(config.get("prediction_type", "epsilon"))) not in known:
        raise ModelError(f"the scheduler's prediction_type is {stated!r}; known: {', '.join(known)}")
    alphas = _alphas(config, train)
    timesteps = SPACINGS[spacing](config, train, steps, alphas)
    scheduler = str(config.get("_class_name", "DDIMScheduler"))
    usual = CLEAN_BY_DEFAULT.get(scheduler)
    clean = 1.0 if usual is None or _flag(config, "set_alpha_to_one", usual) else float(alphas[0])
    return Schedule.variance_preserving(timesteps, (clean, *(float(alphas[t]) for t in timesteps)), known[stated])


def check_schedule(config: Mapping[str, Any], source: object) -> None:
    """Raise ModelError if no schedule can be read from ``config``. source: named in it."""
    try:
        schedule_from_config(config, 1)
    except PnPVideoError as wrong:
        raise ModelError(f"{source}: {wrong}") from wrong


def _flow_schedule(config: Mapping[str, Any], steps: int) -> Schedule:
    """The levels of diffusers' FlowMatchEulerDiscreteScheduler, whichever spacing is asked for: even, then shifted.

    As there, the even ones begin at the lowest training level, which is shifted already (arXiv 2403.03206, eq. 23).
    """
    if (kind := config["_class_name"]) != "FlowMatchEulerDiscreteScheduler":
        raise ModelError(f"the scheduler is a {kind}; of flow matching, accepted is a FlowMatchEulerDiscreteScheduler")
    for name in FLOW_VARIANTS:
        if config.get(name):
            raise ModelError(f"the scheduler's {name} is {config[name]!r}; accepted is a fixed shift, without {name}")
    train = int(_number(config, "num_train_timesteps", 1000, 1, MAX_TRAIN_TIMESTEPS, whole=True))
    if not 1 <= steps <= train:
        raise OptionError(f"steps is {steps}; this checkpoint was trained with {train} timesteps, so 1 to {train}")
    shift = _number(config, "shift", 1.0, 1e-3, 1e3)
    return Schedule.flow_matching(steps, shift, train, first=shift / (train + shift - 1))


def _alphas(config: Mapping[str, Any], train: int) -> Tensor:
    """Cumulative alpha of each training timestep, (train,) float64, rescaled to zero terminal SNR where the config asks
    for it (arXiv 2305.08891, algorithm 1)."""
    alphas = (1 - _betas(config, train)).cumprod(0)
    if _flag(config, "rescale_betas_zero_snr", False):
        root = alphas.sqrt()
        alphas = ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()
    if not bool(((alphas >= 0) & (alphas < 1)).all()) or not bool((alphas.diff() <= 0).all()):
        raise ModelError("the scheduler's betas make no schedule: the share of the signal must fall from 1 towards 0")
    return alphas


def _betas(config: Mapping[str, Any], train: int) -> Tensor:
    """Variance of the noise that each training timestep adds, (train,) float64."""
    trained = config.get("trained_betas")
    if trained is not None:
        if not isinstance(trained, list | tuple) or len(trained) != train:
            raise ModelError(f"the scheduler's trained_betas are no list of num_train_timesteps = {train} numbers")
        return torch.tensor([_number({"beta": beta}, "beta", 0, 0, 1) for beta in trained], dtype=torch.float64)
    start, end = (_number(config, name, usual, 0, 1) for name, usual in (("beta_start", 0.0001), ("beta_end", 0.02)))
    kind = config.get("beta_schedule", "linear")
    if kind == "linear":
        return torch.linspace(start, end, train, dtype=torch.float64)
    if kind == "scaled_linear":
        return torch.linspace(start**0.5, end**0.5, train, dtype=torch.float64).square()
    raise ModelError(f"the scheduler's beta_schedule is {kind!r}; known: linear, scaled_linear, trained_betas")


def _checkpoint_timesteps(config: Mapping[str, Any], train: int, steps: int, alphas: Tensor) -> tuple[int, ...]:
    """Ascending timesteps as the scheduler itself would choose them."""
    if config.get("_class_name") == "LCMScheduler":  # some of those that it was distilled on (arXiv 2310.04378)
        known = int(_number(config, "original_inference_steps", 50, 1, train, whole=True))
        if steps > known:
            raise OptionError(f"steps is {steps}; this checkpoint was distilled on {known} timesteps, so 1 to {known}")
        return tuple(sorted((known - index * known // steps) * (train // known) - 1 for index in range(steps)))
    spacing = config.get("timestep_spacing", "leading")
    if spacing == "leading":
        ratio = train // steps
        offset = int(_number(config, "steps_offset", 0, 0, train, whole=True))
        if (steps - 1) * ratio + offset >= train:
            offset = 0  # as many steps as timesteps: there is no room to move the grid
        return tuple(index * ratio + offset for index in range(steps))
    if spacing == "trailing":
        return tuple(sorted(round(train - index * train / steps) - 1 for index in range(steps)))
    if spacing == "linspace":
        return tuple(round(float(t)) for t in torch.linspace(0, train - 1, steps, dtype=torch.float64))
    raise ModelError(f"the scheduler's timestep_spacing is {spacing!r}; known: leading, trailing, linspace")


def _karras_timesteps(config: Mapping[str, Any], train: int, steps: int, alphas: Tensor) -> tuple[int, ...]:
    """Ascending timesteps, each once: those nearest to even steps in sigma^(1 / rho), between the ends of the
    checkpoint's own grid. A grid that ends in pure noise, of infinite sigma, keeps that end as one more level."""
    own = _checkpoint_timesteps(config, train, min(train, max(steps, KARRAS_GRID)), alphas)
    first, last, sigmas = own[0], own[-1], ((1 - alphas) / alphas).sqrt()
    pure_noise = [] if bool(sigmas[last].isfinite()) else [last]
    if pure_noise:
        last = int((sigmas < KARRAS_MAX_SIGMA).nonzero().max())
    free = steps - len(pure_noise)
    if free > last - first + 1:
        room = last - first + 1 + len(pure_noise)
        raise OptionError(f"steps is {steps}; the spacing karras has room for {room} here")
    low, high = (float(sigmas[end]) ** (1 / KARRAS_RHO) for end in (first, last))
    chosen: list[int] = []
    for index in range(free):
        sigma = (low + (high - low) * index / max(1, free - 1)) ** KARRAS_RHO
        nearest = int((sigmas[: last + 1] - sigma).abs().argmin())
        lowest, highest = (chosen[-1] + 1 if chosen else first), last - (free - 1 - index)
        chosen.append(min(max(nearest, lowest), highest))
    return (*chosen, *pure_noise)


SPACINGS = {"karras": _karras_timesteps, "checkpoint": _checkpoint_timesteps}


def _number(
    config: Mapping[str, Any], name: str, usual: float, least: float, most: float, *, whole: bool = False
) -> float:
    """The number that the config states, ``usual`` where it states none. Raises ModelError."""
    value = config.get(name, usual)
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not least <= value <= most:
        kind = "whole number" if whole else "number"
        raise ModelError(f"the scheduler's {name} is {value!r}; accepted is a {kind} from {least:g} to {most:g}")
    checked: float = value
    return checked


def _flag(config: Mapping[str, Any], name: str, usual: bool) -> bool:
    value = config.get(name, usual)
    if not isinstance(value, bool):
        raise ModelError(f"the scheduler's {name} is {value!r}; accepted: true, false")
    return value
