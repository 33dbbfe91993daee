"""What: an edit of attention is middleware, an edit of residual features a function."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment
from pnpvideo.injection.site import Site


class LaneTensors(Mapping[str, Tensor]):
    """One tensor (frames, tokens, channels) a lane, each made when it is first asked for."""

    def __init__(self, lanes: tuple[str, ...], make: Callable[[str], Tensor]) -> None:
        self._lanes, self._make = lanes, make
        self._made: dict[str, Tensor] = {}

    def __getitem__(self, lane: str) -> Tensor:
        if lane not in self._lanes:
            raise KeyError(lane)
        if lane not in self._made:
            self._made[lane] = self._make(lane)
        return self._made[lane]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)


class AttentionCall:
    """One attention at one site: what goes in, and the projections, lane by lane.

    hidden: (lanes * frames, tokens, channels), the normalised input. q, k, v: lane -> (frames, tokens, channels);
    one frame of k and v is shared by all query frames. extra: lane -> (k, v), each (1, tokens, channels), that
    every query frame sees besides its own. heads: of the attention, each with channels / heads of the channels.
    """

    def __init__(
        self,
        site: Site,
        moment: Moment,
        lanes: Lanes,
        hidden: Tensor,
        q: Mapping[str, Tensor],
        k: Mapping[str, Tensor],
        v: Mapping[str, Tensor],
        extra: Mapping[str, tuple[Tensor, Tensor]] | None = None,
        heads: int = 1,
    ) -> None:
        self.site, self.moment, self.lanes, self.hidden, self.heads = site, moment, lanes, hidden, heads
        self.q, self.k, self.v, self.extra = q, k, v, extra or {}

    def replace(
        self,
        *,
        q: Mapping[str, Tensor] | None = None,
        k: Mapping[str, Tensor] | None = None,
        v: Mapping[str, Tensor] | None = None,
        extra: Mapping[str, tuple[Tensor, Tensor]] | None = None,
    ) -> "AttentionCall":
        """The same call with other projections."""
        return AttentionCall(
            self.site,
            self.moment,
            self.lanes,
            self.hidden,
            self.q if q is None else q,
            self.k if k is None else k,
            self.v if v is None else v,
            self.extra if extra is None else extra,
            self.heads,
        )

    def only(self, lanes: tuple[str, ...]) -> "AttentionCall":
        """The same call for some of its lanes."""
        fewer = Lanes(lanes, self.lanes.frames)
        hidden = fewer.stack({name: self.hidden[self.lanes.rows(name)] for name in lanes})
        return AttentionCall(self.site, self.moment, fewer, hidden, self.q, self.k, self.v, self.extra, self.heads)


Attend = Callable[[AttentionCall], Tensor]


class Enough(Exception):
    """Ends a network call that is only looked at, where all has been seen: the rest of it is of no use."""


@runtime_checkable
class Edit(Protocol):
    """What every edit says of itself. ``begin`` is called before each step, to drop what the last one left."""

    @property
    def sites(self) -> tuple[Site, ...]: ...

    def begin(self, moment: Moment) -> None: ...

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        """Does this edit do anything in this pass? Where none does, the network runs untouched."""
        ...

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        """Does this edit read the source in the pass of these frames? Then a pass of the source lane alone, which ends
        at the last site of such an edit, goes before that of the edited lanes."""
        ...


class AttentionEdit(Edit, Protocol):
    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """Output of the attention (rows, tokens, channels), after its output projection."""
        ...


class ResidualEdit(Edit, Protocol):
    def __call__(self, features: Tensor, site: Site, moment: Moment, lanes: Lanes) -> Tensor:
        """Residual features (rows, c, h, w) in, the same shape out; ``features`` is not altered."""
        ...
