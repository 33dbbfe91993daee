"""The denoiser's stage: the UNet on cached latents, first of small pictures, then at full size; words stay frozen."""

from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from pnpvideo.miniature.recipe.data import DRAWN, moment, styles_of
from pnpvideo.miniature.recipe.stage import Stage
from pnpvideo.miniature.recipe.words import LENGTH, WIDTH
from pnpvideo.miniature.world import caption

EMPTY_CAPTIONS, MIN_SNR = 0.1, 5.0


def new_unet() -> UNet2DConditionModel:
    """Stable Diffusion 1.x's topology, narrower."""
    return UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(32, 64, 128, 128),
        layers_per_block=2,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    )


def new_scheduler() -> DDIMScheduler:
    """Stable Diffusion's own schedule."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        num_train_timesteps=1000,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


class PlainAttention:
    """softmax(q k^T) v written out in the network's dtype: on a CPU its backward pass is faster than the fused one."""

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        heads = attn.heads
        q, k, v = (
            project(value).unflatten(2, (heads, -1)).transpose(1, 2)
            for project, value in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        with torch.autocast(q.device.type, enabled=False):
            mixed = torch.softmax(q * attn.scale @ k.mT, -1) @ v
        return attn.to_out[0](mixed.transpose(1, 2).flatten(2))


def denoiser_stage(
    name: str,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    latents: Path,
    *,
    batch: int,
    steps: int,
    rate: float,
    average: float,
    device: str,
) -> Stage:
    """Epsilon prediction, min-SNR weighting (arXiv 2303.09556), one caption in ten left empty."""
    data = np.load(latents, mmap_mode="r")
    alphas = new_scheduler().alphas_cumprod
    unet.set_attn_processor(PlainAttention())
    unet.to(memory_format=torch.channels_last)  # at full size a fifth faster on a CPU

    def loss(step: int, draw: torch.Generator) -> Tensor:
        words = Random(step)
        x, texts = [], []
        for _ in range(batch):
            index, column, mirror = words.randrange(len(data)), words.randrange(DRAWN), words.randrange(2)
            x.append(torch.from_numpy(np.array(data[index, column, mirror])).float())
            empty = words.random() < EMPTY_CAPTIONS
            texts.append("" if empty else caption(moment(index), styles_of(index)[column], words))
        latent = torch.stack(x).to(device)
        noise = torch.randn(latent.shape, generator=draw).to(device)
        timestep = torch.randint(0, 1000, (batch,), generator=draw)
        alpha = alphas[timestep].reshape(-1, 1, 1, 1).to(device)
        noisy = alpha.sqrt() * latent + (1 - alpha).sqrt() * noise
        tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            with torch.no_grad():
                context = text_encoder(tokens.input_ids.to(device)).last_hidden_state
            guess = unet(noisy.contiguous(memory_format=torch.channels_last), timestep.to(device), context).sample
        snr = (alpha / (1 - alpha)).flatten()
        weight = snr.clamp(max=MIN_SNR) / snr
        error = (guess.float() - noise).square().mean(dim=(1, 2, 3))
        return (weight * error).mean()

    return Stage(name, unet, loss, steps, rate, average)
