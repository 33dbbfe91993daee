"""The noise schedule of a checkpoint and the grid of levels that a run walks along."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pnpvideo.errors import ModelError, OptionError

SPACINGS = ("karras", "checkpoint")

RHO = 3.0
"""Measured on the miniature: of the grids tried, the one whose inversions in 8 to 16 steps return best."""
MOST_SIGMA = 14.6
"""Of the noisiest level but one where a checkpoint starts from pure noise: Stable Diffusion's own noisiest."""
USUAL_STEPS = 50
MOST_TIMESTEPS = 100_000


@dataclass(frozen=True)
class Schedule:
    """Levels 0 ... ``steps``: level 0 is the clean latent, level ``steps`` the noisiest.

    timesteps[i] is the training timestep of level i + 1 (ascending). alphas[i] is the cumulative alpha of
    level i, in (0, 1], float64. prediction is what the network predicts: "epsilon", "v_prediction" or "sample".
    """

    timesteps: tuple[int, ...]
    alphas: tuple[float, ...]
    prediction: str

    @property
    def steps(self) -> int:
        return len(self.timesteps)

    def timestep(self, level: int) -> int:
        """Training timestep of ``level`` in 1 ... steps."""
        return self.timesteps[level - 1]

    def half_log_snr(self, level: int) -> float:
        """log sqrt(alpha / (1 - alpha)): falls from the clean level to the noisiest; infinite at alpha 0 and 1."""
        alpha = self.alphas[level]
        if alpha in (0.0, 1.0):
            return math.inf if alpha else -math.inf
        return 0.5 * math.log(alpha / (1 - alpha))

    @classmethod
    def from_config(cls, config: Mapping[str, Any], steps: int, spacing: str = "checkpoint") -> "Schedule":
        """A grid of ``steps`` levels between the timesteps that a diffusers scheduler of this config would use.

        spacing: "checkpoint", that scheduler's own grid (DDIM, arXiv 2010.02502); "karras", even steps in the third
        root of the noise level sigma = sqrt((1 - alpha) / alpha) (arXiv 2206.00364, eq. 5; there the seventh).
        """
        if spacing not in SPACINGS:
            raise OptionError(f"spacing is {spacing!r}; accepted: {', '.join(SPACINGS)}")
        train = int(_number(config, "num_train_timesteps", 1000, 1, MOST_TIMESTEPS, whole=True))
        if not 1 <= steps <= train:
            raise OptionError(f"steps is {steps}; this checkpoint was trained with {train} timesteps, so 1 to {train}")
        prediction = str(config.get("prediction_type", "epsilon"))
        if prediction not in ("epsilon", "v_prediction", "sample"):
            raise ModelError(f"the scheduler's prediction_type is {prediction!r}; known: epsilon, v_prediction, sample")
        alphas = (1 - _betas(config, train)).cumprod(0)
        if _flag(config, "rescale_betas_zero_snr", False):
            root = alphas.sqrt()
            alphas = ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()
        if not bool(((alphas >= 0) & (alphas < 1)).all()) or not bool((alphas.diff() <= 0).all()):
            raise ModelError(
                "the scheduler's betas make no schedule: the share of the signal must fall from 1 towards 0"
            )
        timesteps = _grid(config, train, steps) if spacing == "checkpoint" else _karras(config, train, steps, alphas)
        clean = 1.0 if _flag(config, "set_alpha_to_one", True) else float(alphas[0])
        return cls(timesteps, (clean, *(float(alphas[t]) for t in timesteps)), prediction)


def _number(
    config: Mapping[str, Any], name: str, usual: float, least: float, most: float, *, whole: bool = False
) -> float:
    """What the config states, ``usual`` where it states nothing. Raises ModelError."""
    value = config.get(name, usual)
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not least <= value <= most:
        kind = "whole number" if whole else "number"
        raise ModelError(f"the scheduler's {name} is {value!r}; accepted is a {kind} from {least:g} to {most:g}")
    return value


def _flag(config: Mapping[str, Any], name: str, usual: bool) -> bool:
    value = config.get(name, usual)
    if not isinstance(value, bool):
        raise ModelError(f"the scheduler's {name} is {value!r}; accepted: true, false")
    return value


def _betas(config: Mapping[str, Any], train: int) -> Tensor:
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


def _karras(config: Mapping[str, Any], train: int, steps: int, alphas: Tensor) -> tuple[int, ...]:
    """Ascending timesteps from the first to the last of the usual grid, nearest to even steps in sigma^(1 / RHO)."""
    usual = _grid(config, train, min(train, max(steps, USUAL_STEPS)))
    top, sigma = usual[-1], ((1 - alphas) / alphas).sqrt()
    noise = [] if bool(sigma[top].isfinite()) else [top]  # of a checkpoint that starts from pure noise
    last = top if not noise else int((sigma < MOST_SIGMA).nonzero().max())
    free = steps - len(noise)
    if free > last - usual[0] + 1:
        raise OptionError(f"steps is {steps}; the spacing karras has room for {last - usual[0] + 1 + len(noise)} here")
    low, high = (float(sigma[end]) ** (1 / RHO) for end in (usual[0], last))
    wanted = [(low + (high - low) * index / max(1, free - 1)) ** RHO for index in range(free)]
    chosen: list[int] = []
    for index, value in enumerate(wanted):
        nearest = int((sigma[: last + 1] - value).abs().argmin())
        lowest, highest = (chosen[-1] + 1 if chosen else usual[0]), last - (free - 1 - index)
        chosen.append(min(max(nearest, lowest), highest))  # each timestep once
    return (*chosen, *noise)


def _grid(config: Mapping[str, Any], train: int, steps: int) -> tuple[int, ...]:
    """Ascending timesteps, by the config's spacing."""
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
