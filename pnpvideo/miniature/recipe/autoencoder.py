"""The autoencoder's stages: AutoencoderKL on crops, then on whole pictures; and caching of its latents."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pnpvideo.miniature.recipe.data import LOOKS_PER_SCENE, SHARD, SIZE, Pictures, Sources
from pnpvideo.miniature.recipe.losses import contrast_loss, sharpness_loss
from pnpvideo.miniature.recipe.stage import Stage, TrainingSettings
from pnpvideo.store import fingerprint

LATENT_CHANNELS = 8
CROP, CELL = 64, 8
"""Pixels. Crops are aligned to the cells of the latent, because the strokes of the sketch style repeat with them."""
SIDES = ((CROP, 0.4), (2 * CROP, 0.35), (SIZE, 0.25))
"""(side in pixels, share of the steps). Small squares train fastest, but group norms see other statistics in them than
in whole pictures, which then come out tinted."""
HALF_SIZE_SHARE = 0.2
"""Share of crops from pictures at half size, whose detail is twice as fine."""
BUSY_SHARE, CANDIDATES = 0.6, 3
"""Share of crops that are the busiest of CANDIDATES random ones."""
SHARPNESS_WEIGHT = 0.5
PRIOR_WEIGHT = 2e-4
"""Weight of the KL divergence of the latents from a standard normal."""


def new_autoencoder() -> AutoencoderKL:
    """Stable Diffusion's autoencoder, 8x down, with fewer channels and without attention in the middle."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 48, 96, 128),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=256,
        mid_block_add_attention=False,
    )


def autoencoder_stage(
    name: str,
    model: AutoencoderKL,
    sources: Sources,
    *,
    sides: Sequence[tuple[int, float]] = SIDES,
    settings: TrainingSettings,
) -> Stage:
    """Train encoder and decoder on random squares of ``sources``.

    sides: (pixels, share of the steps). settings.batch: number of squares of CROP pixels; of others, as many as have
    their area.
    """
    shares, side_shares = torch.tensor([share for _, share in sources]), torch.tensor([share for _, share in sides])

    def loss(step: int, rng: torch.Generator) -> Tensor:
        side = sides[int(torch.multinomial(side_shares, 1, generator=rng))][0]
        count = max(1, settings.batch * CROP**2 // side**2)
        chosen = torch.multinomial(shares, count, replacement=True, generator=rng)
        squares = [random_square(sources[int(which)][0], side, rng) for which in chosen]
        x = torch.stack(squares).to(settings.device).div(127.5).sub(1)
        posterior = model.encode(x).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=rng).to(settings.device)
        z = posterior.mean + posterior.std * noise
        y: Tensor = model.decode(z).sample
        mean = posterior.mean.float()
        prior: Tensor = 0.5 * (mean.square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        return reconstruction_loss(y.float(), x) + PRIOR_WEIGHT * prior

    return settings.stage(name, model, loss)


def reconstruction_loss(y: Tensor, x: Tensor) -> Tensor:
    """Weighted sum of contrast, sharpness, L1 and L2 losses between a result and its truth, (b, 3, h, w) in [-1, 1]."""
    difference = y - x
    pixels = 0.3 * difference.abs().mean() + 3 * difference.square().mean()
    return contrast_loss(y, x) + SHARPNESS_WEIGHT * sharpness_loss(y, x) + pixels


def random_square(pictures: Pictures, side: int, rng: torch.Generator) -> Tensor:
    """A random square of a random picture, (3, side, side) float in [0, 255], flipped half of the time.

    Mostly the busiest of CANDIDATES: most squares are plain sky, ground or backdrop, which are learnt early.
    """
    index, column = (int(torch.randint(count, (1,), generator=rng)) for count in (len(pictures), LOOKS_PER_SCENE))
    shrink = 2 if 2 * side <= SIZE and float(torch.rand(1, generator=rng)) < HALF_SIZE_SHARE else 1
    candidates = CANDIDATES if side < SIZE and float(torch.rand(1, generator=rng)) < BUSY_SHARE else 1
    crops = []
    for _ in range(candidates):
        places = torch.randint(0, (SIZE - side * shrink) // (CELL * shrink) + 1, (2,), generator=rng) * CELL * shrink
        crops.append(pictures.crop(index, column, int(places[0]), int(places[1]), side * shrink).float())
    crop = max(crops, key=lambda each: float(each[:, ::2, ::2].diff(dim=2).abs().mean()))
    crop = torch.nn.functional.avg_pool2d(crop, shrink)
    return crop.flip(2) if float(torch.rand(1, generator=rng)) < 0.5 else crop


@torch.no_grad()
def standardise_latents(model: AutoencoderKL, pictures: Sequence[Pictures], count: int = SHARD) -> None:
    """Normalise each latent channel to mean 0 and deviation 1, measured on the first ``count`` scenes of each source.

    The scale is folded into the 1 x 1 convolutions on either side of the latent, so decoded pictures do not change and
    ``scaling_factor`` is 1. Every channel then has the same signal-to-noise ratio in the denoiser.
    """
    chosen = [
        source.picture(index, index % LOOKS_PER_SCENE)
        for source in pictures
        for index in range(min(count, len(source)))
    ]
    device = next(model.parameters()).device
    latents = [model.encode(x.to(device)[None].float() / 127.5 - 1).latent_dist.mean for x in chosen]
    stacked = torch.cat(latents)
    mean, deviation = stacked.mean((0, 2, 3)), stacked.std((0, 2, 3))
    before, after, channels = model.quant_conv, model.post_quant_conv, len(mean)
    before.weight[:channels] /= deviation[:, None, None, None]
    before.bias[:channels] = (before.bias[:channels] - mean) / deviation
    before.bias[channels:] -= 2 * deviation.log()
    after.bias += (after.weight[:, :, 0, 0] * mean).sum(1)
    after.weight *= deviation[None, :, None, None]
    model.register_to_config(scaling_factor=1.0)


@torch.no_grad()
def encode_pictures(
    model: AutoencoderKL, pictures: Pictures, path: Path, device: str, *, half_size: bool = False, workers: int = 1
) -> None:
    """Save the latents of every picture and its mirror image as .npy, (scenes, LOOKS_PER_SCENE, 2, c, h, w) fp16.

    half_size: of the pictures at half size. workers: threads, each of which encodes a scene at a time. Does nothing if
    the stamp beside the file says that it was made from the same weights and pictures.
    """
    encoder = {
        name: value for name, value in model.state_dict().items() if name.startswith(("encoder.", "quant_conv."))
    }
    size, scenes = (SIZE // 2, pictures.scenes) if half_size else (SIZE, len(pictures))
    shown = [pictures[index].numpy() for index in (0, len(pictures) - 1)]
    stamp = fingerprint(encoder, model.config.scaling_factor, scenes, size, shown)
    stamp_path = path.with_suffix(".stamp")
    if path.exists() and stamp_path.exists() and stamp_path.read_text() == stamp:
        return
    model = model.to(device, memory_format=torch.channels_last).eval()
    latents = np.empty((scenes, LOOKS_PER_SCENE, 2, model.config.latent_channels, size // 8, size // 8), np.float16)

    @torch.no_grad()
    def encode(index: int) -> None:
        x = (pictures.half_size if half_size else pictures.__getitem__)(index).to(device).float() / 127.5 - 1
        both = torch.cat((x, x.flip(3))).contiguous(memory_format=torch.channels_last)
        mean = model.encode(both).latent_dist.mean * model.config.scaling_factor
        latents[index] = mean.unflatten(0, (2, LOOKS_PER_SCENE)).transpose(0, 1).cpu().numpy()

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(encode, range(scenes)))
    temporary = path.with_suffix(".part.npy")
    np.save(temporary, latents)
    stamp_path.unlink(missing_ok=True)
    temporary.replace(path)
    stamp_path.write_text(stamp)
