"""Any Stable Diffusion 1.x, 2.x or XL checkpoint, by its own config: sizes, scale, prediction type and sites."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnpvideo.backends.controlnet import ControlNetwork, LoadedControlNets
from pnpvideo.backends.derived_configs import SIZES
from pnpvideo.backends.footprint import Footprint, of_autoencoder, of_network
from pnpvideo.backends.latent_model import LatentModel
from pnpvideo.backends.parts import UNCHANGED, parts_of_name, parts_of_pipeline
from pnpvideo.backends.sites import sites_of
from pnpvideo.backends.size_conditioning import added_conditions
from pnpvideo.backends.text import Towers
from pnpvideo.diffusion.finite import finite
from pnpvideo.errors import ModelError
from pnpvideo.injection import Conditioning
from pnpvideo.settings.options import Customization

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

GUIDANCE_EMBEDDED = 8.5
"""Guidance scale given to consistency models that take one as an input: that of their authors' pipeline."""


class StableDiffusion(LatentModel):
    """See Backend. The network runs in ``dtype``; latents, text and the autoencoder stay in fp32.

    model: alias, folder, single file or hub id; or a pipeline of diffusers, whose network is used as it is, in its own
    dtype and on its own device, and no longer asks for gradients. customization: what is changed in it first; a
    pipeline is used as it is.
    """

    text: Towers

    def __init__(
        self,
        model: "str | StableDiffusionPipeline | StableDiffusionXLPipeline",
        device: torch.device,
        dtype: torch.dtype,
        compile: bool = False,
        customization: Customization = UNCHANGED,
    ) -> None:
        named = isinstance(model, str)
        parts = parts_of_name(model, device, dtype, customization) if named else parts_of_pipeline(model)
        super().__init__(parts, device, dtype, compile)
        if device.type == "cuda":
            self.network.to(memory_format=torch.channels_last)  # as convolutions in half precision want it
        self._zeros_for_empty = parts.zeros_for_empty
        self._controls = LoadedControlNets()
        self._check(parts.source)
        self.multiple = self.factor
        self.size = int(self.network.config.sample_size) * self.factor
        self.sites = tuple(sites_of(self.network, self.card.structure_layers))
        width = self.network.config.time_cond_proj_dim
        self._guidance = None if width is None else embedded(GUIDANCE_EMBEDDED, width).to(device)

    def _check(self, folder: object) -> None:
        if "FlowMatch" in str(kind := self.scheduler_config.get("_class_name")):
            raise ModelError(f"{folder}: the scheduler is a {kind}, which goes with Stable Diffusion 3 alone")
        channels, width = self.vae.config.latent_channels, self.text.width
        if self.network.config.in_channels != channels:
            raise ModelError(
                f"{folder}: the network takes {self.network.config.in_channels} channels and the autoencoder makes "
                f"{channels}; only plain text-to-image checkpoints are accepted, not inpainting or depth ones"
            )
        if self.network.config.cross_attention_dim != width:
            raise ModelError(
                f"{folder}: the network reads text of width {self.network.config.cross_attention_dim}, "
                f"the text encoder writes {width}; the two do not belong together"
            )
        if self.text.pooled_width is None:
            return
        sizes = SIZES * self.network.config.addition_time_embed_dim
        read = self.network.config.projection_class_embeddings_input_dim
        if read != self.text.pooled_width + sizes:
            raise ModelError(
                f"{folder}: the network reads {read} numbers besides the text's tokens; accepted is a base checkpoint "
                f"of Stable Diffusion XL, here one that reads {self.text.pooled_width} of the text as a whole and "
                f"{sizes} of six sizes"
            )

    def footprint(self, width: int, height: int) -> Footprint:
        parts = (self.network, self.vae, *self.text.encoders.values())
        weights = sum(value.nbytes for part in parts for value in part.parameters())
        shape = self.latent_shape(width, height)
        text, pooled = (self.text.length, self.text.width), self.text.pooled_width
        call, tokens = of_network(self.network, shape, text, pooled, (width, height))
        return Footprint(weights, call, tokens, of_autoencoder(self.vae, shape, self.factor))

    def controlnets(self, paths: Sequence[str]) -> tuple[ControlNetwork, ...]:
        return self._controls.of(paths, self.network, self.factor, self.device, self.dtype)

    def _others(self, part: nn.Module) -> Iterator[nn.Module]:
        yield from super()._others(part)
        if part is not self.network:
            yield from (each.network for each in self._controls.networks.values())

    def embed(self, text: str) -> Conditioning:
        read = self.text.embeds([text])[0]
        return read.zeros() if self._zeros_for_empty and not text else read

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        self._at_hand(self.network)
        inputs = x.to(self.dtype), timestep, context.tokens.to(self.dtype)
        guidance = None if self._guidance is None else self._guidance.to(self.dtype)
        pooled = None if context.pooled is None else context.pooled.to(self.dtype)
        added = added_conditions(pooled, x.shape[3] * self.factor, x.shape[2] * self.factor)
        output = self.network(*inputs, timestep_cond=guidance, added_cond_kwargs=added, return_dict=False)[0].float()
        return finite(output, f"the network's output at timestep {timestep}")


def embedded(guidance: float, channels: int) -> Tensor:
    """A guidance scale as a consistency model reads it: (1, channels), sines, then cosines (arXiv 2310.04378, 4.2)."""
    half = channels // 2
    angles = 1000 * (guidance - 1) * torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
    return F.pad(torch.cat((angles.sin(), angles.cos())), (0, channels % 2)).unsqueeze(0)
