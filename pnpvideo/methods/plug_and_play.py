"""Plug-and-Play diffusion features (arXiv 2211.12572)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pnpvideo.kinds import SHARE, Real
from pnpvideo.methods.method import Method
from pnpvideo.option import Spec, option

if TYPE_CHECKING:
    from torch import Tensor

    from pnpvideo.diffusion.schedule import Schedule
    from pnpvideo.diffusion.trajectory import Trajectory
    from pnpvideo.injection import Edit, Site

FLOW_DEPTH = 0.5
"""Of ReFlex's middle step, 14 of 28 in its authors' code (arXiv 2507.01496)."""


@dataclass(frozen=True, kw_only=True)
class PlugAndPlay(Method):
    """Start from the source's inverted noise; inject its residual features and self-attention into the edited lanes."""

    feature_until: float | None = option(
        None,
        Spec(
            kind=SHARE,
            section="look",
            otherwise=0.8,
            card=True,
            search=(0.0, 1.0),
            help="pnp: share of the steps that inject residual features (tau_f).",
        ),
    )
    attention_until: float | None = option(
        None,
        Spec(
            kind=SHARE,
            section="usual",
            otherwise=0.5,
            card=True,
            search=(0.0, 1.0),
            help="pnp: share of the steps that inject self-attention (tau_A); less frees the shapes.",
        ),
    )
    fresh_noise: float | None = option(
        None,
        Spec(
            kind=SHARE,
            section="look",
            otherwise=0.0,
            card=True,
            help="pnp: share of the starting noise that is drawn anew; more frees the colours, and seeds then differ.",
        ),
    )

    inversion_depth: float | None = option(
        None,
        Spec(
            kind=Real(0.0, 1.0, above=True),
            section="look",
            otherwise=1.0,
            card=True,
            help="pnp: share of the noise levels that inversion goes up and sampling comes down; 1: from pure noise. "
            "Less is faster and keeps more of the source. --attention-until and --feature-until are then shares of the "
            "remaining steps. Without it, 0.5 for flow matching.",
        ),
    )

    def otherwise(self, prediction: str, generate: bool) -> Mapping[str, Any]:
        return {"inversion_depth": FLOW_DEPTH} if prediction == "flow" and not generate else {}

    def levels(self, schedule: Schedule) -> Schedule:
        assert self.inversion_depth is not None
        return schedule.up_to(max(1, int(self.inversion_depth * schedule.steps + 0.5)))

    def without_effect(self) -> Mapping[str, str]:
        if self.fresh_noise:
            return {}
        return {"seed": "inverted noise is used as it is; --fresh-noise 0.3 gives a variation for each seed"}

    def before(self, step: int, steps: int) -> object:
        from pnpvideo.injection import Until

        assert self.feature_until is not None and self.attention_until is not None
        counts = (Until(share).steps(steps) for share in (self.feature_until, self.attention_until))
        below = bool(self.fresh_noise) and self.inversion_depth not in (None, 1.0)  # see start
        return (type(self).__name__, self.fresh_noise, below, *(min(step, count) for count in counts))

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        """x_T = sqrt(1 - n^2) x_T(source) + n eps, with n = ``fresh_noise`` and eps the same for all frames.

        n = 0 is the published method. Fresh noise is our addition, because inverted noise still carries the source's
        colours. Below pure noise (``inversion_depth``), it replaces a share of the noise that is in x alone.
        """
        level, share = schedule.steps, self.fresh_noise
        inverted = trajectory.at(level)
        if not share:
            return inverted, level
        stays, fresh = (1 - share**2) ** 0.5, share * noise.to(inverted)
        if self.inversion_depth in (None, 1.0):
            return stays * inverted + fresh, level
        clean = trajectory.at(0)
        eps = (inverted - schedule.signals[level] * clean) / schedule.noises[level]
        return schedule.mix(clean, stays * eps + fresh, level), level

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        from pnpvideo.edits.structure import FeatureInjection, SelfAttentionInjection
        from pnpvideo.injection import Role, Until, with_role

        assert self.feature_until is not None and self.attention_until is not None
        return [
            FeatureInjection(with_role(sites, Role.STRUCTURE_FEATURES), Until(self.feature_until)),
            SelfAttentionInjection(with_role(sites, Role.STRUCTURE_ATTENTION), Until(self.attention_until)),
        ]
