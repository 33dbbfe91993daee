"""The denoiser's stage: the UNet on cached latents, at full size from the first step; words stay frozen."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from pnpvideo.miniature.recipe.autoencoder import LATENT_CHANNELS
from pnpvideo.miniature.recipe.data import DRAWN, Pictures
from pnpvideo.miniature.recipe.levels import Probe, levels
from pnpvideo.miniature.recipe.stage import Stage
from pnpvideo.miniature.recipe.words import LENGTH, WIDTH

EMPTY_CAPTIONS, MIN_SNR = 0.1, 5.0
WIDTHS = (32, 64, 128, 128)
PROBED = 16
"""The last scenes of the first world: not trained on, but to look into the network."""


class Latents(NamedTuple):
    """Cached latents of ``pictures``, (scenes, DRAWN, 2, c, h, w), and the share of a batch that comes from them."""

    pictures: Pictures
    path: Path
    share: float


def new_unet(widths: tuple[int, ...] = WIDTHS) -> UNet2DConditionModel:
    """Stable Diffusion 1.x's topology, narrower; every branch begins at zero."""
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=widths,
        layers_per_block=2,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    )
    begin_at_zero(unet)
    return unet


def begin_at_zero(unet: UNet2DConditionModel) -> None:
    """Set the last layer of every residual branch, and of the network, to zero.

    Each branch then has to earn its part of the stream. With PyTorch's own initialisation the deep ones hardly come to
    life in so small a network, and for equal samples its error is 7 to 12% higher at every noise level.
    """
    last: list[nn.Module] = [unet.conv_out]
    for module in unet.modules():
        if isinstance(module, ResnetBlock2D):
            last.append(module.conv2)
        elif isinstance(module, Transformer2DModel):
            last.append(module.proj_out)
    for layer in last:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


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


def denoiser_stage(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    worlds: Sequence[Latents],
    *,
    batch: int,
    steps: int,
    rate: float,
    device: str,
) -> Stage:
    """Epsilon prediction, min-SNR weighting (arXiv 2303.09556), one caption in ten left empty.

    Every hour the log receives the table of levels.
    """
    latents = [np.load(world.path, mmap_mode="r") for world in worlds]
    trained = [len(array) for array in latents]
    probed = range(trained[0] - min(PROBED, trained[0] // 2), trained[0])
    trained[0] = probed.start
    alphas = new_scheduler().alphas_cumprod
    unet.set_attn_processor(AttnProcessor2_0())

    def context(texts: list[str]) -> Tensor:
        tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
        with torch.no_grad():
            return text_encoder(tokens.input_ids.to(device)).last_hidden_state

    def loss(step: int, draw: torch.Generator) -> Tensor:
        words = Random(step)
        x, texts = [], []
        for _ in range(batch):
            which = words.choices(range(len(worlds)), [world.share for world in worlds])[0]
            index, column, mirror = words.randrange(trained[which]), words.randrange(DRAWN), words.randrange(2)
            x.append(torch.from_numpy(np.array(latents[which][index, column, mirror])).float())
            empty = words.random() < EMPTY_CAPTIONS
            texts.append("" if empty else worlds[which].pictures.caption(index, column, words))
        latent = torch.stack(x).to(device)
        noise = torch.randn(latent.shape, generator=draw).to(device)
        timestep = torch.randint(0, 1000, (batch,), generator=draw)
        alpha = alphas[timestep].reshape(-1, 1, 1, 1).to(device)
        noisy = alpha.sqrt() * latent + (1 - alpha).sqrt() * noise
        guess = unet(noisy, timestep.to(device), context(texts)).sample
        snr = (alpha / (1 - alpha)).flatten()
        weight = snr.clamp(max=MIN_SNR) / snr
        error = (guess.float() - noise).square().mean(dim=(1, 2, 3))
        return (weight * error).mean()

    columns = [index % DRAWN for index in probed]
    probe = Probe(
        latents=torch.stack(
            [torch.from_numpy(np.array(latents[0][i, c, 0])).float() for i, c in zip(probed, columns, strict=True)]
        ).to(device),
        context=context([worlds[0].pictures.caption(i, c) for i, c in zip(probed, columns, strict=True)]),
        alphas=alphas.to(device),
    )
    return Stage(
        name="denoiser",
        module=unet,
        loss=loss,
        batch=batch,
        steps=steps,
        rate=rate,
        warm_up=150,
        beta2=0.999,
        inspect=lambda module: levels(module, probe),
    )
