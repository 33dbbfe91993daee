"""What to look at: which pictures, noise levels and sites."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pnpvideo.errors import ModelError, NoMatchingSite, OptionError
from pnpvideo.injection import Kind, Site, select

USUAL_TIMESTEPS = (800.0, 540.0, 260.0, 100.0)
"""540 is the timestep at which Plug-and-Play shows features (arXiv 2211.12572, figure 3)."""
PARTS = ("encoder", "middle", "decoder", "transformer")
COARSENESS = (1, 2, 4, 8, 16)
"""Latent cells per cell of a layer, along one side."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What an inspection shows. Raises OptionError for values out of range."""

    pictures: int | None = None
    """Evenly spaced frames of each input; None: 3 of a single input, 1 of each of several."""
    at: tuple[int, ...] = ()
    """Numbers of the frames to take instead, counted from 0."""
    timesteps: tuple[float, ...] = USUAL_TIMESTEPS
    """Noise levels, as the network's timesteps, 0 (clean) to 1000 (noise); the run's nearest are shown. (): all."""
    part: str | None = None
    """Part of the network: "encoder", "middle" or "decoder"; of Stable Diffusion 3, "transformer". None: the decoder
    where there is one, else all, as in ``words``."""
    layers: tuple[int, ...] = ()
    """Layers of that part, counted from 0; (): all."""
    sites: tuple[str, ...] = ()
    """Names of sites to show instead, as the network names its modules, such as "up_blocks.1.resnets.1.conv2"."""

    def __post_init__(self) -> None:
        if self.pictures is not None and self.pictures < 1:
            raise OptionError(f"pictures is {self.pictures}; accepted is a whole number of at least 1")
        if self.part not in (None, *PARTS):
            raise OptionError(f"part is {self.part!r}; accepted: {', '.join(PARTS)}")
        if not all(0 <= timestep <= 1000 for timestep in self.timesteps):
            raise OptionError(f"timesteps are {self.timesteps!r}; accepted are numbers from 0 to 1000")
        if any(number < 0 for number in (*self.at, *self.layers)):
            raise OptionError("at and layers are numbers of frames and layers; they count from 0")

    def select(self, sites: Sequence[Site], kind: Kind, part: str | None = "decoder") -> tuple[Site, ...]:
        """The sites to show: those that are named, else those of ``kind`` in the part and its layers.

        part: where the view has none and the network has it; None: any. Raises NoMatchingSite, with names that come
        close.
        """
        if not self.sites:
            usual = part if any(site.part == part for site in sites) else None
            return select(sites, kind, self.part or usual, self.layers or None)
        known = {site.name: site for site in sites}
        for name in self.sites:
            if name not in known:
                close = difflib.get_close_matches(name, known, 3, 0.0)
                raise NoMatchingSite(f"the network has no site {name!r}; similar ones: {', '.join(close)}")
        return tuple(site for site in sites if site.name in self.sites)

    def select_only(self, sites: Sequence[Site], kind: Kind, part: str | None = "decoder") -> tuple[Site, ...]:
        """Like ``select``; raises OptionError if a site of another kind is named."""
        found = self.select(sites, kind, part)
        if other := [site.name for site in found if site.kind is not kind]:
            example = next((site.name for site in sites if site.kind is kind), "none of this network")
            raise OptionError(f"{other[0]} is no {kind.value}; name sites that are, such as {example}")
        return found


def grid_of(site: Site, tokens: int, latent: tuple[int, int]) -> tuple[int, int]:
    """(h, w) of a layer with this many tokens over latents of this size (h', w'). Raises ModelError if none fits."""
    for coarseness in COARSENESS:
        grid = -(-latent[0] // coarseness), -(-latent[1] // coarseness)
        if grid[0] * grid[1] == tokens:
            return grid
    raise ModelError(
        f"{site.name} has {tokens} tokens, which are no grid over latents of {latent[1]} x {latent[0]}; "
        "accepted are layers at 1, 1/2, 1/4, 1/8 or 1/16 of the latents' width and height"
    )
