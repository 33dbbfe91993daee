"""Trajectories: the latents of a shot's frames at every noise level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule


class Trajectory(Protocol):
    """Latents of the same frames at levels 0 (clean) to ``steps`` (noisiest)."""

    def at(self, level: int) -> Tensor:
        """Latents (f, c, h, w), fp32, of ``level``; on the CPU, where all levels together find room."""
        ...


@dataclass(frozen=True)
class RecordedTrajectory:
    """The states that an inversion or a sampling run has passed through."""

    states: Sequence[Tensor]
    """One tensor (f, c, h, w) a level, level 0 first."""

    def at(self, level: int) -> Tensor:
        return self.states[level]


@dataclass(frozen=True)
class ForwardProcess:
    """Clean latents under one noise, x = signal x0 + noise eps (DDPM's forward process, arXiv 2006.11239, eq. 4).

    The same eps serves all levels, and all frames if it has one frame only. Level 0 is x0 itself, also where the
    schedule ends in a little noise.
    """

    x0: Tensor
    """Clean latents (f, c, h, w)."""
    eps: Tensor
    """Noise (f or 1, c, h, w)."""
    schedule: Schedule

    def at(self, level: int) -> Tensor:
        return self.schedule.mix(self.x0, self.eps, level) if level else self.x0


@dataclass(frozen=True)
class ConcatenatedTrajectory:
    """The frames of one trajectory, then those of another."""

    first: Trajectory
    second: Trajectory

    def at(self, level: int) -> Tensor:
        return torch.cat((self.first.at(level), self.second.at(level)))


@dataclass(frozen=True)
class RenoisedTrajectory:
    """Clean latents under another noise at each level: x = signal x0 + noise eps(level); level 0 is x0 itself."""

    x0: Tensor
    """Clean latents (f, c, h, w)."""
    noise: Callable[[int], Tensor]
    """level -> eps (f or 1, c, h, w)."""
    schedule: Schedule

    def at(self, level: int) -> Tensor:
        return self.schedule.mix(self.x0, self.noise(level), level) if level else self.x0
