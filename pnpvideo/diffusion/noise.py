"""Seeded random numbers: each draw is a function of its arguments, whatever was drawn before and on which device."""

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

SEED_FACTOR, STREAM_FACTOR = 1_000_003, 2_147_483_659
"""Primes that keep the seeds of neighbouring (seed, shot, stream) apart."""


def mixed_seed(seed: int, shot: int, stream: int = 0) -> int:
    """One seed from a run's seed, the index of a shot and the number of a stream of random numbers in it."""
    return (seed * SEED_FACTOR + shot + stream * STREAM_FACTOR) % 2**63


def seeded_noise(shape: Sequence[int], seed: int) -> Tensor:
    """Standard normal noise of ``shape``, fp32, drawn on the CPU so that every device starts from the same."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def shot_noise(shape: Sequence[int], seed: int, shot: int, stream: int = 0) -> Tensor:
    """Noise (1, c, h, w) that all frames of a shot share. stream: another number, independent noise."""
    return seeded_noise((1, *shape), mixed_seed(seed, shot, stream))


def level_random(level: int) -> Random:
    """Random numbers of the step to ``level``: the same for all frames, shots and seeds."""
    return Random(level)
