"""Plug-and-Play diffusion features (arXiv 2211.12572)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.edits.structure import FeatureInjection, SelfAttentionInjection
from pnpvideo.injection import Edit, Kind, Moment, Site, Until, select
from pnpvideo.methods.method import Corrected, Probe

FEATURE_LAYER = 4
ATTENTION_LAYERS = range(4, 12)


@dataclass(frozen=True, kw_only=True)
class PlugAndPlay:
    """Starts from the source's noise; injects its features (tau_f) and self-attention (tau_A) into the edited lanes.

    fresh_noise: share n in [0, 1] of the start that is drawn anew, x_T = sqrt(1 - n^2) x_T(source) + n eps, the same
    eps for all frames: our own addition, for inverted noise still holds the source's colours. 0: as published.
    """

    feature_until: float = 0.8
    attention_until: float = 0.5
    fresh_noise: float = 0.0

    @property
    def inverts(self) -> bool:
        return True

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        inverted = trajectory.at(schedule.steps)
        if self.fresh_noise == 0.0:
            return inverted, schedule.steps
        share = self.fresh_noise
        return (1 - share**2) ** 0.5 * inverted + share * noise.to(inverted), schedule.steps

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        features = select(sites, Kind.RESIDUAL, "decoder", [FEATURE_LAYER])
        attention = select(sites, Kind.SELF, "decoder", ATTENTION_LAYERS)
        return [
            FeatureInjection(features, Until(self.feature_until)),
            SelfAttentionInjection(attention, Until(self.attention_until)),
        ]

    def corrects(self, moment: Moment) -> bool:
        return False

    def correct(self, x: Tensor, moment: Moment, probe: Probe) -> Corrected:
        return Corrected.unchanged(x, probe.lanes)
