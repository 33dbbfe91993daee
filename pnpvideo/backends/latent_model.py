"""What the backends of all families share: the autoencoder, the schedule, and which part is on the device."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pnpvideo.backends.compiled import compile_blocks
from pnpvideo.backends.tiny_autoencoder import encoded
from pnpvideo.diffusion.finite import finite
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.scheduler_config import schedule_from_config
from pnpvideo.settings.card import Card


class LoadedParts(Protocol):
    """The parts of a checkpoint. The attributes are those of parts.Parts."""

    @property
    def scheduler_config(self) -> Mapping[str, Any]: ...
    @property
    def few_step(self) -> bool: ...
    @property
    def card(self) -> Card: ...
    @property
    def captioner(self) -> str | None: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def network(self) -> Any: ...
    @property
    def vae(self) -> Any: ...
    @property
    def text(self) -> Any: ...


class LatentModel:
    """The part of Backend that no network decides: a base of those that load a diffusers checkpoint."""

    def __init__(self, parts: LoadedParts, device: torch.device, dtype: torch.dtype, compile: bool) -> None:
        self.scheduler_config, self.card, self.captioner = parts.scheduler_config, parts.card, parts.captioner
        self.few_step, self.fingerprint = parts.few_step, parts.fingerprint
        self.network, self.vae, self.text = parts.network, parts.vae, parts.text
        self.device, self.dtype, self._offloaded = device, dtype, False
        self.busy: AbstractContextManager[Any] = threading.RLock()
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self._shift = float(self.vae.config.get("shift_factor") or 0.0)
        self._compiled = compile
        if compile:
            compile_blocks(self.network)

    @property
    def prediction(self) -> str:
        return self.schedule(1).prediction.value

    def schedule(self, steps: int, spacing: str = "checkpoint") -> Schedule:
        return schedule_from_config(self.scheduler_config, steps, spacing)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return int(self.vae.config.latent_channels), height // self.factor, width // self.factor

    @property
    def numerics(self) -> tuple[str, ...]:
        return self.device.type, str(self.dtype), "compiled" if self._compiled else "eager", str(torch.__version__)

    def upcast(self) -> AbstractContextManager[None] | None:
        return None if self.dtype == torch.float32 else self._in_fp32()

    @contextmanager
    def _in_fp32(self) -> Iterator[None]:
        """Run the network in fp32 for the time of the block; half-precision weights convert there and back exactly."""
        half = self.dtype
        self.network.to(torch.float32)
        self.dtype = torch.float32
        try:
            yield
        finally:
            self.network.to(half)
            self.dtype = half

    def offload(self) -> bool:
        if self._offloaded or self.device.type == "cpu":
            return False
        self._offloaded = True
        return True

    def _others(self, part: nn.Module) -> Iterator[nn.Module]:
        """What leaves the device when ``part`` works; the text encoders come from where they are when they are read."""
        yield from (each for each in (self.network, self.vae, *self.text.encoders.values()) if each is not part)

    def _at_hand(self, part: nn.Module) -> None:
        """Where parts wait off the device: fetch this one, and send the others away."""
        if self._offloaded:
            for other in self._others(part):
                other.to("cpu")
            part.to(self.device)

    @torch.no_grad()
    def encode(self, pixels: np.ndarray) -> Tensor:
        self._at_hand(self.vae)
        latents = []
        for picture in pixels:
            x = torch.from_numpy(picture).to(self.device).permute(2, 0, 1).unsqueeze(0).float() / 127.5 - 1
            latents.append((encoded(self.vae, x) - self._shift) * self.vae.config.scaling_factor)
        return finite(torch.cat(latents), "the autoencoder's latent")

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        self._at_hand(self.vae)
        pictures = []
        for latent in latents:
            x = latent.unsqueeze(0).to(self.device) / self.vae.config.scaling_factor + self._shift
            x = self.vae.decode(x).sample
            x = ((finite(x[0].float(), "the autoencoder's picture") + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            pictures.append(x.permute(1, 2, 0).cpu().numpy())
        return np.stack(pictures)
