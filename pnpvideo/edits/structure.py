"""Structure: the source's spatial features and self-attention in the edited lanes (arXiv 2211.12572, section 4)."""

from dataclasses import dataclass

from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site, Until
from pnpvideo.injection.edit import Attend
from pnpvideo.injection.lanes import SOURCE


@dataclass(frozen=True)
class _FromSource:
    """What is taken from the source lane during the window, at each of the sites."""

    sites: tuple[Site, ...]
    window: Until

    def begin(self, moment: Moment) -> None:
        """Keeps nothing between steps."""

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return SOURCE in lanes.names and moment in self.window

    def needs_source(self, moment: Moment) -> bool:
        return moment in self.window


class FeatureInjection(_FromSource):
    """f*_t <- f_t: the residual features of every edited lane are the source lane's (eq. 4 and algorithm 1)."""

    def __call__(self, features: Tensor, moment: Moment, lanes: Lanes) -> Tensor:
        source = features[lanes.rows(SOURCE)]
        return lanes.stack({name: source for name in lanes.names})


class SelfAttentionInjection(_FromSource):
    """A*_t <- A_t: every edited lane attends with the source lane's q and k, and its own v (eq. 5)."""

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        q, k = call.q[SOURCE], call.k[SOURCE]
        names = call.lanes.names
        return attend(call.replace(q=dict.fromkeys(names, q), k=dict.fromkeys(names, k)))
