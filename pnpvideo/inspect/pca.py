"""Principal component analysis: exact by the covariance for few channels, randomised for many."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

EXACT_CHANNELS = 768
"""Up to this many channels the covariance is decomposed: exact, and its memory does not grow with the samples."""
SPARE, ROUNDS = 8, 6
"""Beyond that: extra dimensions and power iterations of the randomised decomposition (arXiv 0909.4061, 4.4)."""


@dataclass(frozen=True, eq=False)
class Components:
    """The leading principal components of some samples.

    mean: (c,), fp64. axes: (k, c), fp64, orthonormal, largest variance first. shares: of each axis, its variance as a
    share of the total, 0 to 1; 0 where the samples do not vary at all.
    """

    mean: Tensor
    axes: Tensor
    shares: tuple[float, ...]

    def scores(self, samples: Tensor) -> Tensor:
        """Coordinates (n, k), fp32, of samples (n, c) along the axes."""
        return ((samples.double() - self.mean) @ self.axes.mT).float()

    def agreeing(self, scores: Tensor, wanted: Tensor) -> "Components":
        """Flip the axes along which ``scores`` (n, k), these components' own, run against ``wanted`` (n, k).

        The sign of a principal axis is arbitrary, so pictures of neighbouring noise levels would change colours at
        random without this.
        """
        against = (scores.double() * wanted.double()).sum(0) < 0
        return replace(self, axes=torch.where(against[:, None], -self.axes, self.axes))


def principal_components(samples: Sequence[Tensor], count: int = 3) -> Components:
    """The first ``count`` components of all rows of ``samples``, matrices (n, c) on the CPU of one width c.

    Fewer where there are fewer channels. Deterministic: of each axis, the entry of largest magnitude is positive, and
    the randomised decomposition has a seed of its own. Raises ValueError if there are no rows.
    """
    rows = sum(len(part) for part in samples)
    if not rows:
        raise ValueError("there are no samples to analyse")
    mean = torch.stack([part.double().sum(0) for part in samples]).sum(0) / rows
    total = sum(float((part.double() - mean).square().sum()) for part in samples)
    decompose = _exact if len(mean) <= EXACT_CHANNELS else _randomised
    axes, variances = decompose(samples, mean, min(count, len(mean)))
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = torch.where(largest < 0, -axes, axes)
    return Components(mean, axes, tuple(float(value) / total if total else 0.0 for value in variances))


def _exact(samples: Sequence[Tensor], mean: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Axes (count, c), and the sums of squares along them, from the scatter matrix (c, c)."""
    scatter = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for part in samples:
        centred = part.double() - mean
        scatter += centred.mT @ centred
    values, vectors = torch.linalg.eigh(scatter)
    return vectors.flip(1)[:, :count].mT.contiguous(), values.flip(0)[:count].clamp_min(0)


def _randomised(samples: Sequence[Tensor], mean: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The same, approximately, without a matrix (c, c); fp32."""
    centred = torch.cat([(part - mean.to(part)).float() for part in samples])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, values, vectors = torch.svd_lowrank(centred, min(count + SPARE, *centred.shape), niter=ROUNDS)
    return vectors[:, :count].mT.double(), values[:count].double().square()
