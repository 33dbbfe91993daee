"""How much the residual branches of a decoder contribute, and how much of that comes from the picture.

A network that was trained little may hardly use the layer whose features Plug-and-Play injects, so that injecting them
changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.noise import seeded_noise
from pnpvideo.diffusion.trajectory import ForwardProcess
from pnpvideo.injection import Kind

IDLE = 0.02
"""A branch with less ``weight`` is idle. In the miniature's second edition that is layers 0 to 5; injecting features of
layer 4 changed nothing, of 7 and 8 it did."""
_SCENES = (
    ((140, 190, 240), (110, 150, 70), (200, 40, 30), 0.45, 0.3),
    ((250, 180, 120), (190, 170, 130), (40, 60, 190), 0.6, 0.7),
)
"""Colours of sky, ground and ball; height of the horizon and place of the ball, as shares of the side."""


@dataclass(frozen=True)
class Branch:
    """The residual branch of a decoder layer. share: its RMS over that of the block's output. from_picture: share of
    its power that differs between two pictures with equal noise."""

    layer: int
    share: float
    from_picture: float

    @property
    def weight(self) -> float:
        """How much of the block's output the branch takes from the picture."""
        return self.share * self.from_picture


@torch.inference_mode()
def decoder_branches(backend: Backend) -> tuple[Branch, ...]:
    """The residual branches of a UNet's decoder, measured on two drawn pictures at half the noise levels; of a
    transformer, none. Calls the network twice, with one frame of its native size."""
    sites = [site for site in backend.sites if site.kind is Kind.RESIDUAL and site.part == "decoder"]
    if not sites:
        return ()
    halves, words = backend.schedule(2), backend.embed("").batch(1)
    found: dict[tuple[int, str], list[Tensor]] = {}

    def recorder(layer: int, name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def record(module: nn.Module, inputs: object, output: Tensor) -> None:
            found.setdefault((layer, name), []).append(output.float())

        return record

    handles = []
    for site in sites:
        block = backend.network.get_submodule(site.name.rpartition(".")[0])
        handles.append(block.register_forward_hook(recorder(site.layer, "stream")))
        handles.append(backend.network.get_submodule(site.name).register_forward_hook(recorder(site.layer, "branch")))
    try:
        for picture in _pictures(backend.size):
            x = backend.encode(picture[None]).to(backend.device)
            noisy = ForwardProcess(x, seeded_noise(x.shape, 0).to(x.device), halves).at(1)
            backend.predict(noisy, halves.timestep(1), words)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(
        _figures(site.layer, torch.cat(found[site.layer, "branch"]), torch.cat(found[site.layer, "stream"]))
        for site in sites
    )


def _figures(layer: int, branch: Tensor, stream: Tensor) -> Branch:
    """Figures of two pictures, (2, c, h, w)."""
    power = float(branch.square().mean())
    differs = float(branch.var(0, correction=0).mean())
    return Branch(layer, (power / max(1e-12, float(stream.square().mean()))) ** 0.5, differs / max(1e-12, power))


def _pictures(size: int) -> np.ndarray:
    """Two pictures, (2, size, size, 3) uint8: a ball on a ground under a sky, of other colours and at other places."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    pictures = np.empty((2, size, size, 3), np.uint8)
    for picture, (sky, ground, ball, horizon, middle) in zip(pictures, _SCENES, strict=True):
        picture[:], picture[y > horizon] = sky, ground
        picture[np.hypot(x - middle, y - horizon - 0.1) < 0.2] = ball
    return pictures
