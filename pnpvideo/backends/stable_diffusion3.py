"""Stable Diffusion 3 and 3.5: a transformer over tokens of picture and text, trained by flow matching."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pnpvideo.backends.checkpoint import locate
from pnpvideo.backends.controlnet import ControlNetwork
from pnpvideo.backends.footprint import Footprint, of_autoencoder, of_transformer
from pnpvideo.backends.joint_limits import check_customization, refused_controlnet
from pnpvideo.backends.joint_sites import joint_sites
from pnpvideo.backends.latent_model import LatentModel
from pnpvideo.backends.parts import UNCHANGED
from pnpvideo.backends.parts3 import parts3_of_name, parts3_of_pipeline
from pnpvideo.backends.text3 import ThreeTextTowers
from pnpvideo.diffusion.finite import finite
from pnpvideo.errors import OptionError
from pnpvideo.injection import Conditioning
from pnpvideo.settings.models import resolve
from pnpvideo.settings.options import Customization

if TYPE_CHECKING:
    from diffusers import StableDiffusion3Pipeline


class StableDiffusion3(LatentModel):
    """See Backend. The network and T5 run in ``dtype``; latents, CLIP and the autoencoder stay in fp32.

    model: alias, folder, single file or hub id; or a pipeline of diffusers, whose network and T5 are used as they are,
    in their own dtype and on the network's device, and no longer ask for gradients.
    """

    text: ThreeTextTowers

    def __init__(
        self,
        model: "str | StableDiffusion3Pipeline",
        device: torch.device,
        dtype: torch.dtype,
        compile: bool = False,
        customization: Customization = UNCHANGED,
    ) -> None:
        if isinstance(model, str):
            path = locate(resolve(model))
            check_customization(path, customization)
            parts = parts3_of_name(path, device, dtype)
        else:
            parts = parts3_of_pipeline(model)
        super().__init__(parts, device, dtype, compile)
        config = self.network.config
        self.multiple = self.factor * int(config.patch_size)
        self.sites = tuple(joint_sites(self.network, self.card.structure_layers))
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
