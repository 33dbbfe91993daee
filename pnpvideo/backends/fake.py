"""A backend without a network, for tests and for who writes one: every answer of it is known in closed form.

Its pictures are their own latents, and each text stands for pictures whose values are drawn from N(mean(text), s^2).
What a perfectly trained network predicts for such pictures, and where sampling and inversion end, can be written down.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pnpvideo.backends.backend import TextBlock, part_by_end
from pnpvideo.backends.footprint import Footprint
from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.errors import ModelError
from pnpvideo.injection import Conditioning, Site
from pnpvideo.settings.card import Card

CHANNELS = 3
TIME_SCALE = 1000.0
"""The timesteps passed to the network are TIME_SCALE t with t in [0, 1]."""


class FakeText:
    """Reads words; a text's embedding (length, 3) repeats its mean, one value a channel. See Backend.text."""

    fingerprint = "fake text"
    length, width = 8, CHANNELS
    pooled_width: int | None = None

    def __init__(self, means: Mapping[str, Sequence[float]]) -> None:
        self.means = means

    def embeds(self, texts: Sequence[str]) -> Conditioning:
        means = [self.means.get(text, (0.0,) * CHANNELS) for text in texts]
        return Conditioning(torch.tensor(means, dtype=torch.float32).unsqueeze(1).expand(-1, self.length, -1).clone())

    def positions(self, text: str, phrase: str) -> tuple[int, ...]:
        words, sought = text.split(), phrase.split()
        places = range(len(words) - len(sought) + 1)
        return tuple(1 + n + k for n in places if words[n : n + len(sought)] == sought for k in range(len(sought)))

    def known(self, word: str) -> bool:
        return " " not in word

    def end(self, text: str) -> int:
        return min(1 + len(text.split()), self.length - 1)

    def blocks(self, text: str, phrase: str) -> tuple[TextBlock, ...]:
        return (TextBlock(0, self.length, next(iter(self.positions(text, phrase)), None), self.end(text)),)

    def part_of_tokens(self, parts: Sequence[str]) -> tuple[int | None, ...]:
        return part_by_end(self.end, self.length, parts)

    def pieces(self, text: str) -> tuple[str, ...]:
        return tuple(text.split()[: self.length - 2])

    def truncation(self, text: str) -> str:
        return " ".join(text.split()[self.length - 2 :])


class FakeBackend:
    """See Backend. means: text -> mean of its pictures' values, one a channel, in [-1, 1]; of others 0.

    deviation: s, above 0. prediction: what the closed-form network outputs; FLOW has a flow-matching schedule, others a
    variance-preserving one with signal cos(pi t / 2) and noise sin(pi t / 2).
    """

    few_step = False
    captioner: str | None = None
    sites: tuple[Site, ...] = ()
    size, multiple = 32, 1
    numerics = ("cpu", "torch.float32", "fake")

    def __init__(
        self,
        means: Mapping[str, Sequence[float]],
        deviation: float = 0.25,
        prediction: Prediction = Prediction.FLOW,
    ) -> None:
        self.network: nn.Module = nn.Identity()
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.busy: AbstractContextManager[Any] = threading.RLock()
        self.card = Card()
        self.text = FakeText(means)
        self.deviation, self._prediction = deviation, prediction
        self.fingerprint = f"fake {sorted(means.items())} {deviation} {prediction.value}"

    @property
    def prediction(self) -> str:
        return self._prediction.value

    def schedule(self, steps: int, spacing: str = "checkpoint") -> Schedule:
        if self._prediction is Prediction.FLOW:
            return Schedule.flow_matching(steps, time_scale=TIME_SCALE)
        times = [level / (steps + 1) for level in range(steps + 1)]  # short of pure noise
        signals, noises = zip(*(_powers(t, self._prediction) for t in times), strict=True)
        return Schedule(tuple(TIME_SCALE * t for t in times[1:]), signals, noises, self._prediction)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return CHANNELS, height, width

    def footprint(self, width: int, height: int) -> Footprint:
        picture = 4 * CHANNELS * width * height
        return Footprint(weights=0, call=picture, tokens=0, picture=picture)

    def controlnets(self, paths: Sequence[str]) -> tuple[Any, ...]:
        if paths:
            raise ModelError(f"{paths[0]}: the fake backend has no network that a ControlNet could steer")
        return ()

    def offload(self) -> bool:
        return False

    def upcast(self) -> AbstractContextManager[None] | None:
        return None

    def encode(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1

    def decode(self, latents: Tensor) -> np.ndarray:
        values = ((latents + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return values.permute(0, 2, 3, 1).numpy()

    def embed(self, text: str) -> Conditioning:
        return self.text.embeds([text])[0]

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        """What a perfect network outputs: x0 = E[x0 | x], of a Gaussian, and the noise that is left of x."""
        signal, noise = _powers(timestep / TIME_SCALE, self._prediction)
        mean, variance = context.tokens[:, 0].reshape(-1, CHANNELS, 1, 1), self.deviation**2
        x0 = mean + signal * variance / (signal**2 * variance + noise**2) * (x - signal * mean)
        eps = (x - signal * x0) / noise
        if self._prediction is Prediction.EPSILON:
            return eps
        if self._prediction is Prediction.SAMPLE:
            return x0
        return signal * eps - noise * x0 if self._prediction is Prediction.VELOCITY else eps - x0


def _powers(t: float, prediction: Prediction) -> tuple[float, float]:
    """Signal and noise at time t in [0, 1]."""
    if prediction is Prediction.FLOW:
        return 1 - t, t
    angle = torch.tensor(t * torch.pi / 2, dtype=torch.float64)
    return float(angle.cos()), float(angle.sin())
