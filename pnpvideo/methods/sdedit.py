"""SDEdit (arXiv 2108.01073): noise the source part of the way, then sample with the new prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pnpvideo.methods.method import STRENGTH, Method
from pnpvideo.option import option

if TYPE_CHECKING:
    from torch import Tensor

    from pnpvideo.diffusion.schedule import Schedule
    from pnpvideo.diffusion.trajectory import Trajectory


@dataclass(frozen=True, kw_only=True)
class SDEdit(Method):
    """Start from the source's latents with the noise of the starting level; no inversion and no edits."""

    strength: float = option(0.6, STRENGTH)

    inverts: ClassVar[bool] = False

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        level = max(1, int(self.strength * schedule.steps + 0.5))
        return trajectory.at(level), level
