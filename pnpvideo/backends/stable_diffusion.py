"""Any Stable Diffusion 1.x or 2.x checkpoint, by its own config: sizes, scale, prediction type and sites."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from pnpvideo.backends.checkpoint import fingerprint, load, locate, read_card, read_json
from pnpvideo.backends.models import resolve
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.errors import ModelError
from pnpvideo.injection import Kind, Site

_HARMLESS = "position_ids"  # a buffer that old text encoders saved and no code reads


class StableDiffusion:
    """See Backend. The network runs in ``dtype``; latents, text and the autoencoder stay in fp32."""

    def __init__(self, model: str, device: torch.device, dtype: torch.dtype) -> None:
        folder = locate(resolve(model))
        config = read_json(folder / "unet" / "config.json")
        if config.get("addition_embed_type") is not None:
            raise ModelError(f"{folder} looks like SDXL; this backend takes Stable Diffusion 1.x and 2.x checkpoints")
        self.card = read_card(folder)
        self.fingerprint = fingerprint(folder)
        self.network: UNet2DConditionModel = _load(UNet2DConditionModel, folder, "unet").to(device, dtype)
        self.vae: AutoencoderKL = _load(AutoencoderKL, folder, "vae").to(device, torch.float32)
        self.text_encoder: CLIPTextModel = _load(CLIPTextModel, folder, "text_encoder").to(device, torch.float32)
        self.tokenizer = load(CLIPTokenizer, folder / "tokenizer")
        self.scheduler_config = read_json(folder / "scheduler" / "scheduler_config.json")
        self.device, self.dtype = device, dtype
        self._check(folder)
        self.length = min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.multiple = self.factor
        self.size = int(self.network.config.sample_size) * self.factor
        self.sites = tuple(_sites(self.network))

    def _check(self, folder: Path) -> None:
        channels, width = self.vae.config.latent_channels, self.text_encoder.config.hidden_size
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

        known, embedded = len(self.tokenizer), self.text_encoder.config.vocab_size
        if known > embedded:
            raise ModelError(
                f"{folder}: the tokenizer knows {known} tokens and the text encoder {embedded}; "
                "the two do not belong together"
            )

    def schedule(self, steps: int) -> Schedule:
        return Schedule.from_config(self.scheduler_config, steps)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return self.vae.config.latent_channels, height // self.factor, width // self.factor

    @torch.no_grad()
    def encode(self, pixels: np.ndarray) -> Tensor:
        latents = []
        for picture in pixels:
            x = torch.from_numpy(picture).to(self.device).permute(2, 0, 1).unsqueeze(0).float() / 127.5 - 1
            latents.append(self.vae.encode(x).latent_dist.mode() * self.vae.config.scaling_factor)
        return torch.cat(latents)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        pictures = []
        for latent in latents:
            x = self.vae.decode(latent.unsqueeze(0).to(self.device) / self.vae.config.scaling_factor).sample
            x = ((x[0].float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            pictures.append(x.permute(1, 2, 0).cpu().numpy())
        return np.stack(pictures)

    @torch.no_grad()
    def embed(self, text: str) -> Tensor:
        tokens = self.tokenizer(
            text,
            padding="max_length",
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
        )
        return self.text_encoder(tokens.input_ids.to(self.device)).last_hidden_state[0].float()

    def truncation(self, text: str) -> str:
        ids = self.tokenizer(text, truncation=False).input_ids
        limit = self.length
        return "" if len(ids) <= limit else self.tokenizer.decode(ids[limit - 1 : -1])

    @torch.no_grad()
    def predict(self, x: Tensor, timestep: int, context: Tensor) -> Tensor:
        return self.network(x.to(self.dtype), timestep, context.to(self.dtype), return_dict=False)[0].float()


def _load(kind: Any, folder: Path, part: str) -> Any:
    model, info = load(kind, folder / part, use_safetensors=True, output_loading_info=True)
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        found = [str(key) for key in info.get(problem) or () if _HARMLESS not in str(key)]
        if found:
            raise ModelError(
                f"{folder}/{part}: {problem.replace('_', ' ')}, {len(found)} in all, such as {found[0]}; "
                "the weights do not fit the architecture that config.json states"
            )
    return model.eval().requires_grad_(False)


def _sites(network: UNet2DConditionModel) -> list[Site]:
    """All self- and cross-attentions and residual branches, in execution order."""
    parts = [
        ("encoder", [(f"down_blocks.{i}", block) for i, block in enumerate(network.down_blocks)]),
        ("middle", [("mid_block", network.mid_block)]),
        ("decoder", [(f"up_blocks.{i}", block) for i, block in enumerate(network.up_blocks)]),
    ]
    sites = []
    for part, blocks in parts:
        layer = 0
        for path, block in blocks:
            attentions = getattr(block, "attentions", None) or []
            for j in range(len(block.resnets)):
                sites.append(Site(f"{path}.resnets.{j}.conv2", Kind.RESIDUAL, part, layer))
                if j < len(attentions):
                    for k in range(len(attentions[j].transformer_blocks)):
                        inner = f"{path}.attentions.{j}.transformer_blocks.{k}"
                        sites.append(Site(f"{inner}.attn1", Kind.SELF, part, layer))
                        sites.append(Site(f"{inner}.attn2", Kind.CROSS, part, layer))
                layer += 1
    return sites
