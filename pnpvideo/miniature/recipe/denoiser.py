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
WIDTHS = (48, 96, 128, 128)
PROBED = 16
"""The last scenes of the first world: not trained on, but to look into the network."""
WORDINGS = 4
"""Of each picture's caption."""


class Samples(NamedTuple):
    """What is denoised of one world.

    latents: (scenes, DRAWN, mirrored, c, h, w); tokens: (scenes, DRAWN, wordings, LENGTH). share: of every batch that
    comes from here. On an accelerator both lie on it.
    """

    latents: Tensor
    tokens: Tensor
    share: float


def samples(latents: Path, pictures: Pictures, tokenizer: CLIPTokenizer, share: float, device: str) -> Samples:
    """Read cached latents, and word every picture WORDINGS times: first plainly, then freely."""
    texts = [
        pictures.caption(index, column, Random(f"{index} {column} {wording}") if wording else None)
        for index in range(len(pictures))
        for column in range(DRAWN)
        for wording in range(WORDINGS)
    ]
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    shaped = tokens.reshape(len(pictures), DRAWN, WORDINGS, LENGTH)
    cached = torch.from_numpy(np.load(latents, mmap_mode="c"))  # copied on write, so that torch may hold it
    return Samples(cached.to(device), shaped.to(device), share)


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
    worlds: Sequence[Samples],
    *,
    batch: int,
    steps: int,
    rate: float,
    device: str,
) -> Stage:
    """Epsilon prediction, min-SNR weighting (arXiv 2303.09556), one caption in ten left empty.

    Every hour the log receives the table of levels, made with the last scenes of the first world.
    """
    scenes = [len(world.latents) for world in worlds]
    probed = range(scenes[0] - min(PROBED, scenes[0] // 2), scenes[0])
    scenes[0] = probed.start
    alphas = new_scheduler().alphas_cumprod.to(device)
    empty = tokenizer("", padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids.to(device)
    shares = torch.tensor([world.share for world in worlds])
    unet.set_attn_processor(AttnProcessor2_0())
    unet.to(memory_format=torch.channels_last)

    def context(tokens: Tensor) -> Tensor:
        with torch.no_grad():
            return text_encoder(tokens).last_hidden_state

    def loss(step: int, rng: torch.Generator) -> Tensor:
        def any_of(count: int, many: int) -> Tensor:
            return torch.randint(count, (many,), generator=rng).to(device)

        x, tokens = [], []
        counts = torch.multinomial(shares, batch, replacement=True, generator=rng).bincount(minlength=len(worlds))
        for world, count, many in zip(worlds, scenes, counts.tolist(), strict=True):
            index, column = any_of(count, many), any_of(DRAWN, many)
            x.append(world.latents[index, column, any_of(2, many)].float())
            tokens.append(world.tokens[index, column, any_of(WORDINGS, many)])
        latent, words = torch.cat(x), torch.cat(tokens)
        unworded = (torch.rand(batch, 1, generator=rng) < EMPTY_CAPTIONS).to(device)
        noise = torch.randn(latent.shape, generator=rng).to(device)
        timestep = any_of(1000, batch)
        alpha = alphas[timestep].reshape(-1, 1, 1, 1)
        noisy = (alpha.sqrt() * latent + (1 - alpha).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        guess = unet(noisy, timestep, context(torch.where(unworded, empty, words))).sample
        snr = (alpha / (1 - alpha)).flatten()
        weight = snr.clamp(max=MIN_SNR) / snr
        error = (guess.float() - noise).square().mean(dim=(1, 2, 3))
        return (weight * error).mean()

    columns = [index % DRAWN for index in probed]
    probe = Probe(
        latents=worlds[0].latents[list(probed), columns, 0].float(),
        context=context(worlds[0].tokens[list(probed), columns, 0]),
        alphas=alphas,
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
