"""What a method is: four members, and the trajectory that its source lane follows."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.injection import Edit, Moment, Site


class Trajectory(Protocol):
    """The source's latents at every level."""

    def at(self, level: int) -> Tensor:
        """(f, c, h, w), fp32, of ``level`` in 0 ... steps; on the CPU, where all levels together find room."""
        ...


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

    def correct(self, x: Tensor, moment: Moment) -> Tensor:
        """A change of the latents before a step: the identity for all but pix2pix-zero."""
        ...
