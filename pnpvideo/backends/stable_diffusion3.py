"""Stable Diffusion 3 and 3.5: a transformer over tokens of picture and text, trained by flow matching."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from torch import Tensor

from pnpvideo.backends.checkpoint import COVERED, locate, number, read_card
from pnpvideo.backends.controlnet import ControlNetwork
from pnpvideo.backends.fingerprint import fingerprint, verify
from pnpvideo.backends.footprint import Footprint, of_autoencoder, of_transformer
from pnpvideo.backends.joint_limits import check_customization, refused_controlnet
from pnpvideo.backends.joint_sites import joint_sites
from pnpvideo.backends.latent_model import LatentModel
from pnpvideo.backends.packaging import packaging
from pnpvideo.backends.parts import UNCHANGED
from pnpvideo.backends.text3 import ThreeTextTowers, load_three_texts
from pnpvideo.diffusion.finite import finite
from pnpvideo.diffusion.scheduler_config import schedule_from_config
from pnpvideo.errors import ModelError, OptionError, PnPVideoError
from pnpvideo.injection import Conditioning
from pnpvideo.settings.card import Card
from pnpvideo.settings.models import resolve
from pnpvideo.settings.options import Customization


@dataclass(frozen=True)
class _Parts:
    """See latent_model.LoadedParts."""

    scheduler_config: Mapping[str, Any]
    card: Card
    captioner: str | None
    fingerprint: str
    network: SD3Transformer2DModel
    vae: AutoencoderKL
    text: ThreeTextTowers
    few_step: bool = False


class StableDiffusion3(LatentModel):
    """See Backend. The network and T5 run in ``dtype``; latents, CLIP and the autoencoder stay in fp32.

    model: alias, folder or hub id.
    """

    text: ThreeTextTowers

    def __init__(
        self,
        model: str,
        device: torch.device,
        dtype: torch.dtype,
        compile: bool = False,
        customization: Customization = UNCHANGED,
    ) -> None:
        path = locate(resolve(model))
        check_customization(path, customization)
        super().__init__(_loaded(path, device, dtype), device, dtype, compile)
        config = self.network.config
        if config.in_channels != self.vae.config.latent_channels or self.text.pooled_width != (
            config.pooled_projection_dim
        ):
            raise ModelError(
                f"{path}: the network takes {config.in_channels} channels and a text of {config.pooled_projection_dim} "
                f"as a whole; the autoencoder makes {self.vae.config.latent_channels} and the text encoders "
                f"{self.text.pooled_width}: they do not belong together"
            )
        self.multiple = self.factor * int(config.patch_size)
        self.sites = tuple(joint_sites(self.network))
        self.size = int(config.sample_size) * self.factor

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Raises OptionError for a picture of more tokens a side than the network knows positions."""
        most = int(self.network.config.pos_embed_max_size) * self.multiple
        if max(width, height) > most:
            raise OptionError(f"the working size is {width}x{height}; this model takes up to {most} pixels a side")
        return super().latent_shape(width, height)

    def footprint(self, width: int, height: int) -> Footprint:
        parts = (self.network, self.vae, *self.text.encoders.values())
        weights = sum(value.nbytes for part in parts for value in part.parameters())
        shape = self.latent_shape(width, height)
        told = (self.text.length, self.text.width)
        call, tokens = of_transformer(self.network, shape, told, self.network.config.pooled_projection_dim)
        return Footprint(weights, call, tokens, of_autoencoder(self.vae, shape, self.factor))

    def controlnets(self, paths: Sequence[str]) -> tuple[ControlNetwork, ...]:
        if paths:
            raise refused_controlnet(paths[0])
        return ()

    def embed(self, text: str) -> Conditioning:
        return self.text.embeds([text])[0]

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        assert context.pooled is not None
        self._at_hand(self.network)
        told = torch.full((len(x),), timestep, device=x.device)
        tokens, pooled = context.tokens.to(self.dtype), context.pooled.to(self.dtype)
        output = self.network(x.to(self.dtype), tokens, pooled, told, return_dict=False)[0].float()
        return finite(output, f"the network's output at timestep {timestep}")


def _loaded(path: Path, device: torch.device, dtype: torch.dtype) -> _Parts:
    """Load and check all parts of a folder. Raises ModelError."""
    source = packaging(path)
    scheduler, transformer, named = (
        source.config("scheduler"),
        source.config("transformer"),
        source.named("transformer"),
    )
    number(transformer, "sample_size", named, 1, 1024, whole=True)
    number({"pos_embed_max_size": 96, **transformer}, "pos_embed_max_size", named, 1, 1024, whole=True)
    width = int(
        number({"joint_attention_dim": 4096, **transformer}, "joint_attention_dim", named, 1, 1 << 16, whole=True)
    )
    number({"scaling_factor": 1.5305, **source.config("vae")}, "scaling_factor", source.named("vae"), 1e-3, 1e3)
    number(
        {**source.config("vae"), "shift_factor": source.config("vae").get("shift_factor") or 0},
        "shift_factor",
        source.named("vae"),
        -1e3,
        1e3,
    )
    try:
        schedule_from_config(scheduler, 1)
    except PnPVideoError as wrong:
        raise ModelError(f"{source.named('scheduler')}: {wrong}") from wrong
    verify(path, COVERED)
    captioner = path / "captioner"
    return _Parts(
        scheduler_config=scheduler,
        card=read_card(path, {}),
        captioner=str(captioner) if captioner.is_dir() else None,
        fingerprint=fingerprint(path, COVERED),
        network=source.network(SD3Transformer2DModel, "transformer", dtype).to(device),
        vae=source.network(AutoencoderKL, "vae", torch.float32).to(device),
        text=load_three_texts(path, width, device, dtype),
    )
