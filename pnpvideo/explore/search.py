"""Choose which options to try next, by what was measured so far: constrained Bayesian optimisation.

Two Gaussian processes with a linear trend predict agreement and structure from the dials. The next trial is where the
expected improvement, times the probability that the bound holds, is largest (Gardner et al., ICML 2014, eq. 7). With a
dozen trials in one to three dials that takes fewer than a search along one dial at a time, which gets stuck at the
bound: there every single dial can only gain agreement and break the bound, or lose agreement.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LENGTH = 0.5  # of the kernel, where the range of a dial is 1
NOISE = 1e-3  # variance of a measurement, in variances of all of them
LEVELS = 12  # values of a dial that is no share of the steps


@dataclass(frozen=True)
class Range:
    """The values that a dial may take, ascending. logarithmic: whether ratios of values matter, not differences."""

    name: str
    values: tuple[float, ...]
    logarithmic: bool = False

    @classmethod
    def between(cls, name: str, low: float, high: float, steps: int | None) -> Range:
        """steps: of a run, if the option is a share of them, which acts in whole steps; else None."""
        if steps is None:
            return cls(
                name, tuple(dict.fromkeys(round(float(value), 1) for value in np.geomspace(low, high, LEVELS))), True
            )
        shares = [number / steps for number in range(steps + 1)]
        return cls(name, tuple(round(share, 4) for share in shares if low <= share <= high))

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

    def best(self, tried: Sequence[Measured]) -> int:
        """The index of the best trial that keeps the bound; where none does, of the one that misses it least."""
        return max(range(len(tried)), key=lambda n: (-max(0.0, self.excess(tried[n])), self.gain(tried[n]), -n))


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
    gain, gain_spread = _predict(places, np.array([goal.gain(one) for one in tried]), where)
    excess, excess_spread = _predict(places, np.array([goal.excess(one) for one in tried]), where)
    holds = _below(-excess / excess_spread)
    kept = [goal.gain(one) for one in tried if goal.excess(one) <= 0]
    if not kept:
        return left[int(np.argmax(holds))]
    z = (gain - max(kept)) / gain_spread
    improvement = gain_spread * (z * _below(z) + np.exp(-z * z / 2) / math.sqrt(2 * math.pi))
    return left[int(np.argmax(improvement * holds))]


def _predict(places: np.ndarray, values: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (m,) each, at the places ``where`` (m, d), from values (n,) at ``places`` (n, d)."""

    def trend(points: np.ndarray) -> np.ndarray:
        return np.hstack([np.ones((len(points), 1)), points])

    scale = float(values.std()) or 1.0
    inputs = trend(places)
    ridge = 1e-3 * np.diag([0.0, *[1.0] * places.shape[1]])
    weights = np.linalg.solve(inputs.T @ inputs + ridge + 1e-9 * np.eye(len(ridge)), inputs.T @ (values / scale))
    covariance = _kernel(places, places) + NOISE * np.eye(len(places))
    across = _kernel(where, places)
    mean = trend(where) @ weights + across @ np.linalg.solve(covariance, values / scale - inputs @ weights)
    variance = 1 - np.einsum("ij,ji->i", across, np.linalg.solve(covariance, across.T))
    return mean * scale, scale * np.sqrt(np.maximum(variance, 1e-6))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b[None]) ** 2).sum(2)
    return np.asarray(np.exp(-squared / (2 * LENGTH**2)))


def _below(z: np.ndarray) -> np.ndarray:
    """The share of a normal distribution below z."""
    return np.array([0.5 * (1 + math.erf(float(each) / math.sqrt(2))) for each in z])
