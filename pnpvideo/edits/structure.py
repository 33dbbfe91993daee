"""Structure: the source's spatial features and self-attention in the edited lanes (arXiv 2211.12572, section 4)."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site, Until
from pnpvideo.injection.edit import Attend
from pnpvideo.injection.lanes import SOURCE


@dataclass(frozen=True)
class _FromSource:
    """What the source's pass leaves at each of the sites, during the window, for the edited lanes' pass."""

    sites: tuple[Site, ...]
    window: Until
    _left: dict[Site, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def begin(self, moment: Moment) -> None:
        self._left.clear()

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return moment in self.window

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return moment in self.window


class FeatureInjection(_FromSource):
    """f*_t <- f_t: the residual features of every edited lane are the source lane's (eq. 4 and algorithm 1)."""

    def __call__(self, features: Tensor, site: Site, moment: Moment, lanes: Lanes) -> Tensor:
        if not lanes.edited:
            self._left[site] = features
            return features
        return lanes.stack(dict.fromkeys(lanes.names, self._left.pop(site)))


class SelfAttentionInjection(_FromSource):
    """A*_t <- A_t: every edited lane attends with the source lane's q and k, and its own v (eq. 5)."""

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        names = call.lanes.names
        if not call.lanes.edited:
            self._left[call.site] = call.q[SOURCE], call.k[SOURCE]
            return attend(call)
        q, k = self._left.pop(call.site)
        return attend(call.replace(q=dict.fromkeys(names, q), k=dict.fromkeys(names, k)))
