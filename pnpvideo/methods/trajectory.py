"""Two trajectories: one that was walked (inversion, or a generated guidance), one that is known in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.methods.method import Trajectory


@dataclass(frozen=True)
class Walked:
    """States of every level, level 0 first, each (f, c, h, w)."""

    states: Sequence[Tensor]

    def at(self, level: int) -> Tensor:
        return self.states[level]


@dataclass(frozen=True)
class Joined:
    """The frames of one trajectory, then those of another."""

    first: Trajectory
    second: Trajectory

    def at(self, level: int) -> Tensor:
        return torch.cat((self.first.at(level), self.second.at(level)))


@dataclass(frozen=True)
class Noised:
    """x = signal x0 + noise eps with one ``noise`` for all levels, and frames (DDPM's forward process)."""

    clean: Tensor
    noise: Tensor
    schedule: Schedule

    def at(self, level: int) -> Tensor:
        return self.schedule.mix(self.clean, self.noise, level)


def shot_noise(shape: tuple[int, ...], seed: int, shot: int, stream: int = 0) -> Tensor:
    """Noise (1, c, h, w), fp32, that all frames of a shot share: a function of (seed, shot, stream)."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + shot + stream * 2_147_483_659) % (2**63))
    return torch.randn((1, *shape), generator=generator)
