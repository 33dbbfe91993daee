"""The denoiser's stages: the UNet on cached latents, at half size first; the text encoder stays frozen."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from pnpvideo.miniature.recipe.ablation import ProbeBatch, ablate_levels
from pnpvideo.miniature.recipe.attention import TrainingAttention
from pnpvideo.miniature.recipe.autoencoder import LATENT_CHANNELS
from pnpvideo.miniature.recipe.data import LOOKS_PER_SCENE, Pictures
from pnpvideo.miniature.recipe.samples import SampleSheet, sheet_captions
from pnpvideo.miniature.recipe.stage import Stage, TrainingSettings
from pnpvideo.miniature.recipe.tokenizer import LENGTH, WIDTH

EMPTY_CAPTION_SHARE, MIN_SNR = 0.1, 5.0
WIDTHS = (48, 96, 128, 64)
PROBE_SCENES = 16
"""The first scenes of the first dataset, which are not trained on but used to examine the network."""
WORDINGS = 4
"""Captions of each picture."""


class LatentDataset(NamedTuple):
    """Latents and captions of one source, on the training device.

    latents: (scenes, LOOKS_PER_SCENE, 2, c, h, w), of the pictures and their mirror images. tokens: (scenes,
    LOOKS_PER_SCENE, WORDINGS, LENGTH). share: of every batch that is drawn from here.
    """

    latents: Tensor
    tokens: Tensor
    share: float


def load_latents(
    latents: Path, pictures: Pictures, tokenizer: CLIPTokenizer, share: float, device: str
) -> LatentDataset:
    """Load cached latents, and tokenise WORDINGS captions of every picture: the plain one first, then random ones."""
    cached = torch.from_numpy(np.load(latents, mmap_mode="c"))  # copied on write, so that torch may hold it
    texts = [
        pictures.caption(index, column, Random(f"{index} {column} {wording}") if wording else None)
        for index in range(len(cached))
        for column in range(LOOKS_PER_SCENE)
        for wording in range(WORDINGS)
    ]
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    shaped = tokens.reshape(len(cached), LOOKS_PER_SCENE, WORDINGS, LENGTH)
    return LatentDataset(cached.to(device), shaped.to(device), share)


def new_unet(widths: tuple[int, ...] = WIDTHS) -> UNet2DConditionModel:
    """Stable Diffusion 1.x's UNet with fewer channels; every residual branch starts at zero. widths: by level."""
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
    zero_init_branches(unet)
    return unet


def zero_init_branches(unet: UNet2DConditionModel) -> None:
    """Set the last layer of every residual branch, and of the network, to zero.

    With PyTorch's default initialisation the deep branches of a network this small hardly contribute, and after equally
    many samples the error is 7 to 12% higher at every noise level.
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
    """Stable Diffusion's noise schedule."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        num_train_timesteps=1000,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def timestep_weights(alphas: Tensor) -> Tensor:
    """Weight of the squared error of epsilon at each timestep, mean 1. alphas: cumulative products, one a timestep.

    SNR^-1/2, and beyond MIN_SNR also min-SNR's factor (arXiv 2303.09556). The error grows with about the root of the
    SNR, so every timestep up to there has about the same share of the loss, as with learned weights (arXiv 2312.02696,
    eq. 14). With min-SNR's factor alone, the timesteps from 700 on, where words and layout decide, have 7% of the loss;
    with these weights, 31%.
    """
    snr = alphas / (1 - alphas)
    weights = snr.clamp(max=MIN_SNR) / snr * snr.rsqrt()
    return weights / weights.mean()


def error_over_scales(error: Tensor) -> Tensor:
    """Squared error of each sample, averaged over scales so that coarse errors count as much as fine ones.

    error: (b, c, h, w), predicted minus true noise; returns (b,). At scale k the error is averaged over squares of
    2**k x 2**k positions, and its square counts 2**k times; with these factors every scale has about the same share of
    the loss (compare the multiscale loss of arXiv 2301.11093). In plain squared error, the mean over all positions has
    a share of 2%: a network trained with that predicted only a third of the noise's mean. The factors do not change
    which prediction is best: always the expected noise.
    """
    scales, scale = [], 1
    while True:
        scales.append(scale * error.square().mean(dim=(1, 2, 3)))
        if min(error.shape[-2:]) == 1:
            return torch.stack(scales).mean(0)
        error, scale = nn.functional.avg_pool2d(error, 2), 2 * scale


def denoiser_stage(
    name: str,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    datasets: Sequence[LatentDataset],
    settings: TrainingSettings,
    autoencoder: AutoencoderKL | None = None,
) -> Stage:
    """Train to predict epsilon by ``error_over_scales`` and ``timestep_weights``, one caption in ten empty.

    The table of ``ablate_levels`` is logged every hour, from the first scenes of the first dataset. autoencoder:
    decodes a sheet of pictures, which is written then too.
    """
    batch, device = settings.batch, settings.device
    probe_scenes = range(min(PROBE_SCENES, len(datasets[0].latents) // 2))
    starts = [len(probe_scenes)] + [0] * (len(datasets) - 1)
    alphas = new_scheduler().alphas_cumprod.to(device)
    weights = timestep_weights(alphas)
    empty = tokenizer("", padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids.to(device)
    shares = torch.tensor([dataset.share for dataset in datasets])
    unet.set_attn_processor(TrainingAttention())
    unet.to(memory_format=torch.channels_last)

    def context(tokens: Tensor) -> Tensor:
        with torch.no_grad():
            states: Tensor = text_encoder(tokens).last_hidden_state
        return states

    def loss(step: int, rng: torch.Generator) -> Tensor:
        def randint(below: int, count: int) -> Tensor:
            return torch.randint(below, (count,), generator=rng).to(device)

        x, tokens = [], []
        counts = torch.multinomial(shares, batch, replacement=True, generator=rng).bincount(minlength=len(datasets))
        for dataset, start, count in zip(datasets, starts, counts.tolist(), strict=True):
            index = start + randint(len(dataset.latents) - start, count)
            column = randint(LOOKS_PER_SCENE, count)
            x.append(dataset.latents[index, column, randint(2, count)].float())
            tokens.append(dataset.tokens[index, column, randint(WORDINGS, count)])
        latent, captions = torch.cat(x), torch.cat(tokens)
        is_empty = (torch.rand(batch, 1, generator=rng) < EMPTY_CAPTION_SHARE).to(device)
        noise = torch.randn(latent.shape, generator=rng).to(device)
        timestep = randint(1000, batch)
        alpha = alphas[timestep].reshape(-1, 1, 1, 1)
        noisy = (alpha.sqrt() * latent + (1 - alpha).sqrt() * noise).contiguous(memory_format=torch.channels_last)
        eps = unet(noisy, timestep, context(torch.where(is_empty, empty, captions))).sample
        weighted: Tensor = weights[timestep] * error_over_scales(eps.float() - noise)
        return weighted.mean()

    columns = [index % LOOKS_PER_SCENE for index in probe_scenes]
    probe = ProbeBatch(
        latents=datasets[0].latents[list(probe_scenes), columns, 0].float(),
        context=context(datasets[0].tokens[list(probe_scenes), columns, 0]),
        empty=context(empty.expand(len(probe_scenes), -1)),
        alphas=alphas,
    )
    sheet = None
    if autoencoder is not None:
        captions = sheet_captions(art=len(datasets) > 1)
        read = tokenizer(captions, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
        contexts = context(read.input_ids.to(device)), context(empty)
        sheet = SampleSheet(*contexts, autoencoder, new_scheduler())

    def inspect(module: nn.Module, path: Path) -> dict[str, Any]:
        if sheet is not None:
            sheet.draw(unet, probe.latents.shape[-1], path)
        return ablate_levels(unet, probe)

    return Stage(
        name=name,
        module=unet,
        loss=loss,
        batch=batch,
        steps=settings.steps,
        rate=settings.rate,
        warm_up=150,
        beta2=0.999,
        inspect=inspect,
    )
