"""Protocols of edits: attention edits wrap the attention like middleware, residual edits map features, skip edits add
to what goes from the encoder to the decoder.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment
from pnpvideo.injection.site import Site


class LaneTensors(Mapping[str, Tensor]):
    """Map each lane to a tensor (frames, tokens, channels), computed on first access."""

    def __init__(self, lanes: tuple[str, ...], compute: Callable[[str], Tensor]) -> None:
        self._lanes, self._compute = lanes, compute
        self._computed: dict[str, Tensor] = {}

    def __getitem__(self, lane: str) -> Tensor:
        if lane not in self._lanes:
            raise KeyError(lane)
        if lane not in self._computed:
            self._computed[lane] = self._compute(lane)
        return self._computed[lane]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionCall:
    """One call of one attention layer: its input and its projections, lane by lane.

    hidden: the layer's normalised input, (lanes * frames, tokens, channels).
    q, k, v: lane -> (frames, tokens, channels). If k and v have a single frame, all query frames attend to it.
    extra: lane -> (k, v), each (1, tokens, channels), to which every query frame attends besides its own keys.
    heads: number of attention heads, of channels / heads channels each.
    """

    site: Site
    moment: Moment
    lanes: Lanes
    hidden: Tensor
    q: Mapping[str, Tensor]
    k: Mapping[str, Tensor]
    v: Mapping[str, Tensor]
    extra: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    heads: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkCall:
    """The arguments of one call of the whole network, in the network's dtype.

    x: latents (rows, c, h', w'). timestep: as it is passed to the network. text: (rows, tokens, channels). added:
    further conditions of SDXL, by diffusers' names.
    """

    x: Tensor
    timestep: Any
    text: Tensor
    added: Mapping[str, Tensor] | None = None


class Residuals(NamedTuple):
    """What is added to a network's skip connections, (rows, c, h, w) each, the finest first, and to its middle."""

    skips: tuple[Tensor, ...]
    middle: Tensor

    def plus(self, other: "Residuals") -> "Residuals":
        skips = zip(self.skips, other.skips, strict=True)
        return Residuals(tuple(one + two for one, two in skips), self.middle + other.middle)


Attend = Callable[[AttentionCall], Tensor]
"""Compute the attention of a call; return (rows, tokens, channels), after the output projection."""


class StopForward(Exception):
    """Stop the forward pass after the last site that is needed; the pass then has no output."""


@runtime_checkable
class Edit(Protocol):
    """The protocol that all edits share. ``begin`` is called before each step, and drops tensors of the last one."""

    @property
    def sites(self) -> tuple[Site, ...]: ...

    def begin(self, moment: Moment) -> None: ...

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        """Whether the edit changes or reads anything in this pass. Where no edit is active, the network's own code
        runs unchanged."""
        ...

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        """Whether the edit reads the source lane of these frames at this step. If any edit does, a pass of the source
        lane alone runs first; it stops after the last site of the edits that read it."""
        ...


class AttentionEdit(Edit, Protocol):
    """An edit at attention sites. ``attend`` is the next inner edit, or the attention itself."""

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """Return the layer's output (rows, tokens, channels), after its output projection."""
        ...


class ResidualEdit(Edit, Protocol):
    """An edit at residual sites."""

    def __call__(self, features: Tensor, site: Site, moment: Moment, lanes: Lanes) -> Tensor:
        """Return the residual features (rows, c, h, w) that replace ``features``, which is not modified."""
        ...


class SkipEdit(Edit, Protocol):
    """An edit of the site WHOLE: it adds to what goes from the network's encoder to its decoder."""

    def __call__(self, call: NetworkCall, moment: Moment, lanes: Lanes) -> Residuals:
        """Return what is added in this call. Several edits are summed."""
        ...


@runtime_checkable
class Recordable(Edit, Protocol):
    """An edit that only reads the source's passes, so that its results can be recorded earlier, during inversion."""

    def forget(self, moment: Moment | None = None) -> None:
        """Drop what was recorded for this step; None: for all steps."""
        ...

    def keep(self, moment: Moment) -> None:
        """Record the results since ``begin`` as this step's; sampling then needs no source pass for them."""
        ...
