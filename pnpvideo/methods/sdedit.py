"""SDEdit (arXiv 2108.01073): noise the source part of the way, then sample with the new prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.injection import Edit, Moment, Site
from pnpvideo.methods.method import Corrected, Probe


@dataclass(frozen=True, kw_only=True)
class SDEdit:
    """``strength`` in (0, 1] is the share of the steps that is run: 1 starts from pure noise."""

    strength: float = 0.6

    @property
    def inverts(self) -> bool:
        return False

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        level = max(1, int(self.strength * schedule.steps + 0.5))
        return trajectory.at(level), level

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        return []

    def corrects(self, moment: Moment) -> bool:
        return False

    def correct(self, x: Tensor, moment: Moment, probe: Probe) -> Corrected:
        return Corrected.unchanged(x, probe.lanes)
