"""How much of what a network predicts follows the features of one layer.

A network that was trained little may hardly use the layer whose features Plug-and-Play injects, so that injecting them
changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.noise import seeded_noise
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.trajectory import ForwardProcess
from pnpvideo.injection import Lanes, Moment, Site, injected
from pnpvideo.injection.lanes import SOURCE

IDLE = 0.1
"""Below this, injecting a layer's features hardly changes a result. In the miniature's second edition layer 4 has 0 and
layer 6 .04, and injecting them changed nothing; layer 7 has .41 and layer 8 .74, and they did."""
LEVELS = 20
"""Of the schedule from which the level in the middle is taken."""
_SCENES = (
    ((140, 190, 240), (110, 150, 70), (200, 40, 30), 0.45, 0.3),
    ((250, 180, 120), (190, 170, 130), (40, 60, 190), 0.6, 0.7),
)
"""Colours of sky, ground and ball; height of the horizon and place of the ball, as shares of the side."""


@dataclass(frozen=True)
class ExchangedFeatures:
    """A residual edit that gives each of two pictures the other's features."""

    sites: tuple[Site, ...]

    def begin(self, moment: Moment) -> None:
        pass

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return True

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, features: Tensor, site: Site, moment: Moment, lanes: Lanes) -> Tensor:
        return features.flip(0)


@torch.inference_mode()
def influences(backend: Backend, sites: Sequence[Site]) -> dict[Site, float]:
    """For each residual site, how much the predicted noise changes if two pictures exchange their features there.

    As a share of the difference between the two predictions: 0 if nothing changes. The pictures are drawn, half of the
    model's native size, under the same noise, at a timestep in the middle of the checkpoint's. Calls the network with
    both of them once, and once more for each site.
    """
    size = max(backend.multiple, backend.size // 2 // backend.multiple * backend.multiple)
    schedule, words = backend.schedule(LEVELS), backend.embed("").batch(2)
    level = _middle(schedule)
    x = backend.encode(_pictures(size)).to(backend.device)
    noisy = ForwardProcess(x, seeded_noise(x[:1].shape, 0).to(x.device), schedule).at(level)
    moment, lanes = Moment(0, 1, schedule.timestep(level)), Lanes((SOURCE,), (0, 1))

    def predict(sites: tuple[Site, ...]) -> Tensor:
        edits = [ExchangedFeatures(sites)] if sites else []
        with injected(backend.network, edits) as session, session.during(moment, lanes):
            return backend.predict(noisy, moment.timestep, words)

    with backend.busy:
        own = predict(())
        apart = float((own[0] - own[1]).square().mean().sqrt())
        return {site: float((predict((site,)) - own).square().mean().sqrt()) / max(1e-12, apart) for site in sites}


def _middle(schedule: Schedule) -> int:
    """The level whose timestep is nearest to half way between those of level 1 and of the noisiest."""
    half = (schedule.timestep(1) + schedule.timestep(schedule.steps)) / 2
    return min(range(1, schedule.steps + 1), key=lambda level: abs(schedule.timestep(level) - half))


def _pictures(size: int) -> np.ndarray:
    """Two pictures, (2, size, size, 3) uint8: a ball on a ground under a sky, of other colours and at other places."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    pictures = np.empty((2, size, size, 3), np.uint8)
    for picture, (sky, ground, ball, horizon, middle) in zip(pictures, _SCENES, strict=True):
        picture[:], picture[y > horizon] = sky, ground
        picture[np.hypot(x - middle, y - horizon - 0.1) < 0.2] = ball
    return pictures
