"""Noise that looks like noise: pix2pix-zero's regularisation of an inverted latent (arXiv 2302.03027, section 3.2).

Two losses of a predicted noise n, each with its gradient in closed form, so that no graph is built:
L_ac, correlation with itself under a shift, over a pyramid; L_kl, distance of its mean and variance from 0 and 1.
Statistics are each sample's own, in fp32; all frames of a shot share one schedule of shifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = 1e-7


@dataclass(frozen=True, kw_only=True)
class Regularisation:
    """``rounds`` of {``ac_steps`` gradient steps of weight ``ac_weight`` on L_ac; then one of ``kl_weight`` on L_kl}.

    pyramid_gain: 2 keeps the variance of each level, pooled by 2, as the paper has it; 1 does not, as its code. 0: off.
    smallest: side of the last level of the pyramid, in cells of the latent.
    """

    rounds: int = 5
    ac_steps: int = 5
    ac_weight: float = 20.0
    kl_weight: float = 20.0
    pyramid_gain: float = 2.0
    smallest: int = 8

    def __call__(self, noise: Tensor, draw: Random) -> Tensor:
        """``noise`` (n, c, h, w) made more like white noise, fp32."""
        noise = noise.float()
        if self.pyramid_gain == 0:
            return noise
        sides = levels(noise, self.smallest)
        for _ in range(self.rounds):
            for _ in range(self.ac_steps):
                shifts = [(draw.randrange(1, max(2, h // 2)), draw.randrange(1, max(2, w // 2))) for h, w in sides]
                slope = autocorrelation_gradient(noise, shifts, self.pyramid_gain)
                loss = autocorrelation(noise, shifts, self.pyramid_gain)
                noise = noise - _step(self.ac_weight, loss, slope) * slope
            noise = noise - self.kl_weight * kl_gradient(noise)
        return noise


def _step(weight: float, loss: Tensor, slope: Tensor) -> Tensor:
    """``weight``, but not beyond where the slope's own line meets zero (Polyak's step), for each sample: (n, 1, 1, 1).

    Correlated noise of gain 2 grows with each level of the pyramid, and a step of fixed size would throw it off.
    """
    steepness = slope.square().flatten(1).sum(1).clamp_min(torch.finfo(slope.dtype).tiny)
    return (loss / steepness).clamp(max=weight).reshape(-1, 1, 1, 1)


def levels(noise: Tensor, smallest: int) -> list[tuple[int, int]]:
    """Heights and widths of the pyramid: halved while both sides are even and stay at least ``smallest``."""
    sides = [(noise.shape[-2], noise.shape[-1])]
    while min(sides[-1]) >= 2 * smallest and not any(side % 2 for side in sides[-1]):
        sides.append((sides[-1][0] // 2, sides[-1][1] // 2))
    return sides


def autocorrelation(noise: Tensor, shifts: Sequence[tuple[int, int]], gain: float) -> Tensor:
    """L_ac of each sample, (n,): the sum over levels, channels and both axes of mean(n roll(n))^2."""
    total, level = noise.new_zeros(len(noise)), noise
    for number, (down, across) in enumerate(shifts):
        level = gain * F.avg_pool2d(level, 2) if number else level
        for shift, axis in ((down, 2), (across, 3)):
            total = total + (level * level.roll(shift, axis)).mean((2, 3)).square().sum(1)
    return total


def autocorrelation_gradient(noise: Tensor, shifts: Sequence[tuple[int, int]], gain: float) -> Tensor:
    """d L_ac / d n of each sample, (n, c, h, w): (2 rho / N) (roll n + roll^-1 n) at each level, and so for each axis,
    taken back through the pooling by its adjoint."""
    pyramid = [noise]
    for _ in shifts[1:]:
        pyramid.append(gain * F.avg_pool2d(pyramid[-1], 2))
    slope: Tensor | None = None
    for level, (down, across) in zip(reversed(pyramid), reversed(shifts), strict=True):
        here = torch.zeros_like(level)
        for shift, axis in ((down, 2), (across, 3)):
            forth = level.roll(shift, axis)
            rho = (level * forth).mean((2, 3), keepdim=True)
            here = here + 2 * rho / (level.shape[2] * level.shape[3]) * (forth + level.roll(-shift, axis))
        if slope is not None:
            here = here + gain / 4 * F.interpolate(slope, scale_factor=2, mode="nearest")
        slope = here
    assert slope is not None
    return slope


def kl(noise: Tensor) -> Tensor:
    """L_kl of each sample, (n,): v + mu^2 - 1 - log(v + 1e-7), v with N - 1."""
    flat = noise.flatten(1)
    variance = flat.var(1)
    return variance + flat.mean(1).square() - 1 - (variance + TINY).log()


def kl_gradient(noise: Tensor) -> Tensor:
    """d L_kl / d n: 2 (n - mu) / (N - 1) (1 - 1 / (v + 1e-7)) + 2 mu / N."""
    flat = noise.flatten(1)
    mean, variance = flat.mean(1, keepdim=True), flat.var(1, keepdim=True)
    count = flat.shape[1]
    slope = 2 * (flat - mean) / (count - 1) * (1 - 1 / (variance + TINY)) + 2 * mean / count
    return slope.reshape(noise.shape)
