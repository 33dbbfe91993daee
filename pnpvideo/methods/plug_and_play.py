"""Plug-and-Play diffusion features (arXiv 2211.12572)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.edits.structure import FeatureInjection, SelfAttentionInjection
from pnpvideo.injection import Edit, Kind, Moment, Site, Until, select
from pnpvideo.methods.method import Trajectory

FEATURE_LAYER = 4
ATTENTION_LAYERS = range(4, 12)


@dataclass(frozen=True, kw_only=True)
class PlugAndPlay:
    """Starts from the source's noise; injects its features (tau_f) and self-attention (tau_A) into the edited lanes."""

    feature_until: float = 0.8
    attention_until: float = 0.5

    @property
    def inverts(self) -> bool:
        return True

    def start(self, trajectory: Trajectory, schedule: Schedule) -> tuple[Tensor, int]:
        return trajectory.at(schedule.steps), schedule.steps

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        features = select(sites, Kind.RESIDUAL, "decoder", [FEATURE_LAYER])
        attention = select(sites, Kind.SELF, "decoder", ATTENTION_LAYERS)
        return [
            FeatureInjection(features, Until(self.feature_until)),
            SelfAttentionInjection(attention, Until(self.attention_until)),
        ]

    def correct(self, x: Tensor, moment: Moment) -> Tensor:
        return x
