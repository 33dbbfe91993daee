"""What a method is: where a run starts, its edits, and corrections before a step."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.injection import Edit, Lanes, Moment, Site

Pass = Callable[[Lanes, Mapping[str, Tensor], Mapping[str, Tensor]], None]
"""One network call, up to where its edits have seen enough: lanes, latents of each lane (frames, c, h, w), words of
each lane (tokens, channels)."""


class Probe(Protocol):
    """What a correction may ask: the network, outside the run's own edits.

    lanes: those that the guidance asks for at this step; words: lane -> (tokens, channels); sites: the network's.
    """

    @property
    def lanes(self) -> tuple[str, ...]: ...

    @property
    def words(self) -> Mapping[str, Tensor]: ...

    @property
    def sites(self) -> Sequence[Site]: ...

    def source(self, frame: int) -> Tensor:
        """The source's latents of this level, (1, c, h, w), where the edited ones are."""
        ...

    def watched(self, edits: Sequence[Edit], checkpointing: bool = False) -> AbstractContextManager[Pass]:
        """Network calls with these edits alone; each begins them anew. A gradient must be taken inside."""
        ...


@dataclass(frozen=True)
class Corrected:
    """lanes: the latents (f, c, h, w) that each lane is asked about. origin: those that the step starts from."""

    lanes: Mapping[str, Tensor]
    origin: Tensor

    @classmethod
    def unchanged(cls, x: Tensor, lanes: Sequence[str]) -> "Corrected":
        return cls(dict.fromkeys(lanes, x), x)


class Method(Protocol):
    """Temporal coherence is no part of it but another axis: coherence.py."""

    @property
    def inverts(self) -> bool:
        """Does it need the source's inverted trajectory?"""
        ...

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        """The latents that sampling starts from, and their level; ``noise`` (1, c, h, w) is the shot's own, fp32."""
        ...

    def edits(self, sites: Sequence[Site]) -> list[Edit]:
        """The method's edits for a network with these sites, outermost first."""
        ...

    def corrects(self, moment: Moment) -> bool:
        """Does a correction ask the network at this step?"""
        ...

    def correct(self, x: Tensor, moment: Moment, probe: Probe) -> Corrected:
        """A change of the latents before a step: none for all but pix2pix-zero."""
        ...
