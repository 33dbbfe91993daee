"""Choose which options to try next, by what was measured so far: constrained Bayesian optimisation.

Two Gaussian processes with a linear trend predict agreement and the logarithm of structure from the dials. The next
trial is where the expected improvement, times the probability that the bound holds, is largest (Gardner et al., ICML
2014, eq. 7). A search along one dial at a time would get stuck at the bound, where every single dial can only gain
agreement and break the bound, or lose agreement.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LENGTHS = (0.3, 0.8, 8.0)  # of the kernel along a dial whose range is 1; the last one: the dial hardly matters
NOISE = 1e-3  # variance of a measurement, in variances of all of them
LEVELS = 24  # values of a dial that is no share of the steps
MARGIN = 0.25  # points of agreement; a smaller gain on a few frames need not be one on the whole clip
SHARE_MARGIN = 0.02  # of the structure distance of the defaults, likewise
LEAST = 1e-3  # structure distance, of which the logarithm is predicted, because few steps change it many times over


@dataclass(frozen=True)
class Range:
    """The values that a dial may take, ascending. logarithmic: whether ratios of values matter, not differences."""

    name: str
    values: tuple[float, ...]
    logarithmic: bool = False

    @classmethod
    def between(cls, name: str, low: float, high: float, default: float, steps: int | None) -> Range:
        """Values from ``low`` to ``high``, with ``default`` in place of the one that acts as it does, if one does.

        steps: of a run, if the option is a share of them, which acts in whole steps; else None.
        """
        if steps is None:
            values = [round(float(value), 1) for value in np.geomspace(low, high, LEVELS)]
            return cls(name, tuple(sorted({*values, default})), True)
        acts = int(default * steps + 0.5)  # as in injection.Until
        shares = [default if number == acts else round(number / steps, 4) for number in range(steps + 1)]
        return cls(name, tuple(share for share in shares if low <= share <= high))

    def unit(self, value: float) -> float:
        """The place of a value in the range, 0 to 1; beyond for a value outside."""
        low, high = self.values[0], self.values[-1]
        if self.logarithmic:
            return math.log(max(value, 1e-3) / low) / math.log(high / low)
        return (value - low) / (high - low)


@dataclass(frozen=True)
class Measured:
    """One trial: the values of the dials, 100 times the cosine with the prompt, and the structure distance."""

    values: tuple[float, ...]
    agreement: float
    structure: float


@dataclass(frozen=True)
class Goal:
    """What is best. Exactly one is set. max_structure: the highest agreement at no higher structure distance.
    min_agreement: the lowest structure distance at no lower agreement."""

    max_structure: float | None = None
    min_agreement: float | None = None

    def gain(self, one: Measured) -> float:
        """What is to be as high as possible."""
        return one.agreement if self.min_agreement is None else -one.structure

    def excess(self, one: Measured) -> float:
        """How far the bound is missed; at most 0 where it holds."""
        if self.max_structure is not None:
            return one.structure - self.max_structure
        return (self.min_agreement or 0.0) - one.agreement

    def predicted(self, tried: Sequence[Measured]) -> tuple[np.ndarray, np.ndarray]:
        """Gain and excess of each trial, (n,) each, on the scales on which they are predicted."""
        agreement = np.array([one.agreement for one in tried])
        structure = np.log([max(one.structure, LEAST) for one in tried])
        if self.max_structure is not None:
            return agreement, structure - math.log(max(self.max_structure, LEAST))
        return -structure, (self.min_agreement or 0.0) - agreement

    def best(self, tried: Sequence[Measured]) -> int:
        """The index of the best trial that keeps the bound; where none does, of the one that misses it least.

        The first, which are the defaults, stay unless another one gains more than MARGIN or SHARE_MARGIN on them.
        """
        best = max(range(len(tried)), key=lambda n: (-max(0.0, self.excess(tried[n])), self.gain(tried[n]), -n))
        margin = MARGIN if self.min_agreement is None else SHARE_MARGIN * tried[0].structure
        no_gain = self.gain(tried[best]) - self.gain(tried[0]) <= margin
        return 0 if no_gain and self.excess(tried[0]) <= 0 else best


def first_points(ranges: Sequence[Range], default: Sequence[float]) -> list[tuple[float, ...]]:
    """What to try first: the default, then each dial by itself, half of the way to its farther end."""
    points = [tuple(default)]
    for index, dial in enumerate(ranges):
        here = dial.unit(default[index])
        target = here / 2 if here >= 0.5 else (1 + here) / 2
        moved = list(default)
        moved[index] = min(dial.values, key=lambda value: abs(dial.unit(value) - target))
        points.append(tuple(moved))
    return list(dict.fromkeys(points))


def next_point(ranges: Sequence[Range], tried: Sequence[Measured], goal: Goal) -> tuple[float, ...] | None:
    """The values to try next; None if all have been tried. Deterministic."""
    done = {one.values for one in tried}
    left = [point for point in itertools.product(*(dial.values for dial in ranges)) if point not in done]
    if not left:
        return None
    places = np.array([[dial.unit(value) for dial, value in zip(ranges, one.values, strict=True)] for one in tried])
    where = np.array([[dial.unit(value) for dial, value in zip(ranges, point, strict=True)] for point in left])
    places, where = places - places[0], where - places[0]  # what is known best is near the defaults
    gains, excesses = goal.predicted(tried)
    gain, gain_spread = _predict(places, gains, where)
    excess, excess_spread = _predict(places, excesses, where)
    holds = _below(-excess / excess_spread)
    if not (excesses <= 0).any():
        return left[int(np.argmax(holds))]
    z = (gain - gains[excesses <= 0].max()) / gain_spread
    improvement = gain_spread * (z * _below(z) + np.exp(-z * z / 2) / math.sqrt(2 * math.pi))
    return left[int(np.argmax(improvement * holds))]


def _predict(places: np.ndarray, values: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (m,) each, at the places ``where`` (m, d), from values (n,) at ``places`` (n, d).

    The length of the kernel along each dial is the likeliest of LENGTHS.
    """
    scale = float(values.std()) or 1.0
    fits = [_Fit(places, (values - values.mean()) / scale, lengths) for lengths in _lengths(places.shape[1])]
    mean, spread = max(fits, key=lambda fit: fit.likelihood).at(where)
    return values.mean() + scale * mean, scale * spread


def _lengths(dials: int) -> list[np.ndarray]:
    return [np.array(lengths) for lengths in itertools.product(LENGTHS, repeat=dials)]


class _Fit:
    """A Gaussian process with a linear trend of unknown slopes. likelihood: its logarithm, but for a constant."""

    def __init__(self, places: np.ndarray, values: np.ndarray, lengths: np.ndarray) -> None:
        self.places, self.lengths = places, lengths
        covariance = self._covariance(places, places) + NOISE * np.eye(len(places))
        self._factor = np.linalg.cholesky(covariance)
        self._weights = self._solve(values)
        self.likelihood = -float(values @ self._weights) / 2 - float(np.log(np.diag(self._factor)).sum())

    def at(self, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        across = self._covariance(where, self.places)
        own = 1 + ((where / self.lengths) ** 2).sum(1)
        variance = own - np.einsum("ij,ji->i", across, self._solve(across.T))
        return across @ self._weights, np.sqrt(np.maximum(variance, 1e-6))

    def _covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Of a squared exponential, and of slopes that are smaller along a dial that hardly matters."""
        a, b = a / self.lengths, b / self.lengths
        squared = ((a[:, None] - b[None]) ** 2).sum(2)
        return np.asarray(np.exp(-squared / 2) + a @ b.T)

    def _solve(self, right: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.solve(self._factor.T, np.linalg.solve(self._factor, right)))


def _below(z: np.ndarray) -> np.ndarray:
    """The share of a normal distribution below z."""
    return np.array([0.5 * (1 + math.erf(float(each) / math.sqrt(2))) for each in z])
