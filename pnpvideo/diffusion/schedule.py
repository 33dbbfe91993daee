"""Noise schedules: how much signal and noise the latents hold at each level of a run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from pnpvideo.diffusion.prediction import Estimate, Prediction
from pnpvideo.errors import OptionError


@dataclass(frozen=True)
class Schedule:
    """Levels 0 (clean) to ``steps`` (noisiest); at each, x = signal x0 + noise eps with eps of unit variance.

    What a solver needs is the pair (signal, noise) alone (EDM, arXiv 2206.00364, section 2 and table 1): it never asks
    whether a model is variance-preserving or trained by flow matching.
    """

    timesteps: tuple[float, ...]
    """The time passed to the network at levels 1 to ``steps``, ascending; whole numbers for most models."""
    signals: tuple[float, ...]
    """Of levels 0 to ``steps``, falling, in [0, 1]."""
    noises: tuple[float, ...]
    """Of levels 0 to ``steps``, rising, in [0, 1]; 0 at level 0 alone, if anywhere."""
    prediction: Prediction
    """What the network outputs."""

    def __post_init__(self) -> None:
        if not len(self.timesteps) + 1 == len(self.signals) == len(self.noises):
            raise ValueError(
                f"{len(self.timesteps)} timesteps need one more signal and noise, for the clean level; "
                f"given are {len(self.signals)} and {len(self.noises)}"
            )

    @classmethod
    def variance_preserving(
        cls, timesteps: Sequence[float], alphas: Sequence[float], prediction: Prediction
    ) -> "Schedule":
        """signal = sqrt(alpha), noise = sqrt(1 - alpha) (DDPM, arXiv 2006.11239, eq. 4).

        alphas: the cumulative alpha of each level from 0 on, in [0, 1], one more than ``timesteps``.
        """
        signals, noises = tuple(alpha**0.5 for alpha in alphas), tuple((1 - alpha) ** 0.5 for alpha in alphas)
        return cls(tuple(timesteps), signals, noises, prediction)

    @classmethod
    def flow_matching(
        cls, steps: int, shift: float = 1.0, time_scale: float = 1000.0, first: float | None = None
    ) -> "Schedule":
        """signal = 1 - t, noise = t (rectified flow, arXiv 2209.03003, eq. 1), t = s u / (1 + (s - 1) u).

        u runs from 0 to 1 in ``steps`` even steps. shift: s > 0, above 1 for more steps at high noise, as large
        pictures want it (arXiv 2403.03206, eq. 23). time_scale: the network is given time_scale * t. first: u of level
        1, from which the further ones are even; None: 1 / steps.
        """
        if steps < 1 or shift <= 0:
            raise OptionError(f"steps is {steps} and shift {shift}; accepted are at least 1 and more than 0")
        if first is None or steps == 1:
            even = [level / steps for level in range(steps + 1)]
        else:
            even = [0.0, *(1 - (1 - first) * fewer / (steps - 1) for fewer in reversed(range(steps)))]  # ends in 1
        times = [shift * u / (1 + (shift - 1) * u) for u in even]
        signals = tuple(1 - t for t in times)
        return cls(tuple(time_scale * t for t in times[1:]), signals, tuple(times), Prediction.FLOW)

    @property
    def steps(self) -> int:
        return len(self.timesteps)

    def up_to(self, level: int) -> "Schedule":
        """The levels from the clean one to ``level`` in 1 ... steps, which is then the noisiest."""
        return replace(
            self,
            timesteps=self.timesteps[:level],
            signals=self.signals[: level + 1],
            noises=self.noises[: level + 1],
        )

    def ending_clean(self) -> "Schedule":
        """The same levels, but the one at 0 has no noise, which a variance-preserving scheduler may leave there."""
        return replace(self, signals=(1.0, *self.signals[1:]), noises=(0.0, *self.noises[1:]))

    def timestep(self, level: float) -> float:
        """The time passed to the network at ``level`` in 1 ... steps; between two levels, in proportion.

        Below level 1, in proportion between that and 0, which is the clean level's time in flow matching.
        """
        below = int(level)
        times = (0.0, *self.timesteps)
        if level == below:
            return times[below]
        return times[below] + (level - below) * (times[below + 1] - times[below])

    def half_log_snr(self, level: int) -> float:
        """lambda = log(signal / noise) (DPM-Solver, arXiv 2206.00927): falls as noise rises.

        Infinite where there is no noise, minus infinite where there is no signal.
        """
        signal, noise = self.signals[level], self.noises[level]
        if noise == 0:
            return math.inf
        return math.log(signal / noise) if signal else -math.inf

    def mix(self, x0: Tensor, eps: Tensor, level: int) -> Tensor:
        """The noisy latents x = signal x0 + noise eps of ``level``."""
        return self.signals[level] * x0 + self.noises[level] * eps

    def estimate(self, x: Tensor, output: Tensor, level: int) -> Estimate:
        """(x0, eps) from the network's ``output`` for latents ``x`` (f, c, h, w) of ``level`` in 1 ... steps, fp32."""
        return self.prediction.estimate(x, output, self.signals[level], self.noises[level])

    def output(self, x: Tensor, eps: Tensor, level: int) -> Tensor:
        """The network output for ``x`` that estimate() reads as ``eps``; ``level`` must have signal."""
        return self.prediction.output(x, eps, self.signals[level], self.noises[level])
