"""A tiny autoencoder (TAESD): what it encodes to, and quick pictures of unfinished results."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

from pnpvideo.backends.autoencoder_file import tiny_file
from pnpvideo.diffusion.finite import finite


def encoded(vae: AutoencoderKL | AutoencoderTiny, x: Tensor) -> Tensor:
    """What an autoencoder of either kind makes of pictures (n, 3, h, w) in [-1, 1], unscaled: the posterior's mode."""
    found: Any = vae.encode(x)
    latents: Tensor = found.latents if isinstance(vae, AutoencoderTiny) else found.latent_dist.mode()
    return latents


class TinyDecoder:
    """Decodes latents as the model scales them, roughly and many times quicker than the model's own autoencoder.

    channels: of the latents. Raises ModelError for an autoencoder of another width.
    """

    def __init__(self, path: Path, channels: int, device: torch.device) -> None:
        file = tiny_file(path)
        self.vae = (
            file.fitting({}, channels, file.config["scaling_factor"]).network(AutoencoderTiny, torch.float32).to(device)
        )
        self.device = device

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """(f, h, w, 3) uint8 RGB of latents (f, c, h', w'). Raises NotFiniteError."""
        scaled = latents.to(self.device) / self.vae.config.scaling_factor
        pictures = torch.cat([self.vae.decode(one.unsqueeze(0)).sample for one in scaled])
        pictures = finite(pictures, "the tiny autoencoder's picture")
        values = ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return values.permute(0, 2, 3, 1).cpu().numpy()
