"""Regularised inversion of pix2pix-zero: make predicted noise look like noise (arXiv 2302.03027, section 3.2).

Two losses of a predicted noise n, each with its gradient in closed form, so that no graph is built: L_ac, the
correlation of n with itself under a shift, over a pyramid of resolutions; L_kl, the distance of its mean and variance
from 0 and 1. Statistics are each sample's own, in fp32; all frames share the same shifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.diffusion.noise import level_random

VARIANCE_FLOOR = 1e-7


@dataclass(frozen=True, kw_only=True)
class Regularisation:
    """``rounds`` of {``ac_steps`` gradient steps on L_ac, then one on L_kl}; a ``refine`` for invert()."""

    rounds: int = 5
    ac_steps: int = 5
    ac_weight: float = 20.0
    """Size of the ``ac_steps`` steps on L_ac together, at most: as in the authors' code, each has its share of it."""
    kl_weight: float = 20.0
    """Size of a step on L_kl."""
    pyramid_gain: float = 2.0
    """Factor after each pooling by 2: 2 keeps the variance, as in the paper; 1 lets it fall, as in its code. 0: off."""
    smallest: int = 8
    """Side of the pyramid's last level, in cells of the latent."""

    def __call__(self, noise: Tensor, level: int) -> Tensor:
        """``noise`` (n, c, h, w) made more like white noise, fp32; the shifts depend on ``level`` alone."""
        noise = noise.float()
        if self.pyramid_gain == 0:
            return noise
        sizes, random = pyramid_sizes(noise, self.smallest), level_random(level)
        for _ in range(self.rounds):
            for _ in range(self.ac_steps):
                shifts = draw_shifts(sizes, random)
                gradient = autocorrelation_gradient(noise, shifts, self.pyramid_gain)
                loss = autocorrelation(noise, shifts, self.pyramid_gain)
                noise = noise - _step_size(self.ac_weight / self.ac_steps, loss, gradient) * gradient
            noise = noise - self.kl_weight * kl_gradient(noise)
        return noise


def _step_size(size: float, loss: Tensor, gradient: Tensor) -> Tensor:
    """``size``, but at most Polyak's step, loss / |gradient|^2, for each sample: (n, 1, 1, 1).

    A deviation from the paper: correlated noise of gain 2 grows with each level of the pyramid, and a step of fixed
    size would diverge.
    """
    squared_norm = gradient.square().flatten(1).sum(1).clamp_min(torch.finfo(gradient.dtype).tiny)
    return (loss / squared_norm).clamp(max=size).reshape(-1, 1, 1, 1)


def pyramid_sizes(noise: Tensor, smallest: int) -> list[tuple[int, int]]:
    """Heights and widths of the pyramid: halved while both sides are even and stay at least ``smallest``."""
    sizes = [(noise.shape[-2], noise.shape[-1])]
    while min(sizes[-1]) >= 2 * smallest and not any(side % 2 for side in sizes[-1]):
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def draw_shifts(sizes: Sequence[tuple[int, int]], random: Random) -> list[tuple[int, int]]:
    """A shift down and one across for each level of the pyramid, from 1 to half of its side less 1; never 0, which
    would penalise the variance."""
    return [(random.randrange(1, max(2, h // 2)), random.randrange(1, max(2, w // 2))) for h, w in sizes]


def autocorrelation(noise: Tensor, shifts: Sequence[tuple[int, int]], gain: float) -> Tensor:
    """L_ac of each sample, (n,): the sum over levels, channels and both axes of mean(n roll(n))^2."""
    total, level = noise.new_zeros(len(noise)), noise
    for number, (down, across) in enumerate(shifts):
        level = gain * F.avg_pool2d(level, 2) if number else level
        for shift, axis in ((down, 2), (across, 3)):
            total = total + (level * level.roll(shift, axis)).mean((2, 3)).square().sum(1)
    return total


def autocorrelation_gradient(noise: Tensor, shifts: Sequence[tuple[int, int]], gain: float) -> Tensor:
    """d L_ac / d n of each sample, (n, c, h, w).

    At each level and for each axis (2 rho / N) (roll n + roll^-1 n) with rho = mean(n roll n), which is taken to the
    level above by the adjoint of the pooling.
    """
    pyramid = [noise]
    for _ in shifts[1:]:
        pyramid.append(gain * F.avg_pool2d(pyramid[-1], 2))
    gradient = torch.zeros_like(pyramid[-1])
    for number in reversed(range(len(pyramid))):
        level = pyramid[number]
        own = torch.zeros_like(level)
        for shift, axis in zip(shifts[number], (2, 3), strict=True):
            rolled = level.roll(shift, axis)
            rho = (level * rolled).mean((2, 3), keepdim=True)
            own = own + 2 * rho / (level.shape[2] * level.shape[3]) * (rolled + level.roll(-shift, axis))
        if number + 1 < len(pyramid):
            own = own + gain / 4 * F.interpolate(gradient, scale_factor=2, mode="nearest")
        gradient = own
    return gradient


def kl(noise: Tensor) -> Tensor:
    """L_kl of each sample, (n,): v + mu^2 - 1 - log(v + 1e-7), where v divides by N - 1."""
    flat = noise.flatten(1)
    variance = flat.var(1)
    return variance + flat.mean(1).square() - 1 - (variance + VARIANCE_FLOOR).log()


def kl_gradient(noise: Tensor) -> Tensor:
    """d L_kl / d n: 2 (n - mu) / (N - 1) (1 - 1 / (v + 1e-7)) + 2 mu / N."""
    flat = noise.flatten(1)
    mean, variance = flat.mean(1, keepdim=True), flat.var(1, keepdim=True)
    count = flat.shape[1]
    gradient = 2 * (flat - mean) / (count - 1) * (1 - 1 / (variance + VARIANCE_FLOOR)) + 2 * mean / count
    return gradient.reshape(noise.shape)
