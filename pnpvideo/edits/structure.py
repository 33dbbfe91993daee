"""Inject the source's residual features and self-attention, as in Plug-and-Play (arXiv 2211.12572, section 4)."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site, Until
from pnpvideo.injection.edit import Attend
from pnpvideo.injection.lanes import SOURCE


@dataclass(frozen=True)
class _SourceInjection:
    """Store tensors at each site in the source lane's pass, and use them in the edited lanes' pass.

    window: the steps at which to inject.
    """

    sites: tuple[Site, ...]
    window: Until
    _stored: dict[Site, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def begin(self, moment: Moment) -> None:
        self._stored.clear()

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return moment in self.window

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return moment in self.window


class FeatureInjection(_SourceInjection):
    """Replace the residual features of every edited lane by the source lane's: f*_t <- f_t (eq. 4, algorithm 1)."""

    def __call__(self, features: Tensor, site: Site, moment: Moment, lanes: Lanes) -> Tensor:
        if not lanes.edited:
            self._stored[site] = features
            return features
        return lanes.stack(dict.fromkeys(lanes.names, self._stored.pop(site)))


class SelfAttentionInjection(_SourceInjection):
    """Let every edited lane attend with the source lane's q and k and its own v: A*_t <- A_t (eq. 5)."""

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        names = call.lanes.names
        if not call.lanes.edited:
            self._stored[call.site] = call.q[SOURCE], call.k[SOURCE]
            return attend(call)
        q, k = self._stored.pop(call.site)
        return attend(replace(call, q=dict.fromkeys(names, q), k=dict.fromkeys(names, k)))
