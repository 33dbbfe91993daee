"""The autoencoder's stage: AutoencoderKL on crops of the world's pictures."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pnpvideo.miniature.recipe.data import DRAWN, SIZE, Pictures
from pnpvideo.miniature.recipe.stage import Stage
from pnpvideo.store import fingerprint

CROP, CELL = 64, 8
"""Pixels: crops start where cells of the latent do, as the sketch's strokes repeat with them."""
HALF_SIZE = 0.25
"""Share of crops from pictures of half the size, on which the denoiser's first stage is trained."""


def new_autoencoder() -> AutoencoderKL:
    """Four blocks (8x down), 4 latent channels, as Stable Diffusion's; narrower, and without mid attention."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 128),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=256,
        mid_block_add_attention=False,
    )


def autoencoder_stage(
    model: AutoencoderKL, pictures: Pictures, *, batch: int, steps: int, rate: float, device: str
) -> Stage:
    """Absolute and squared error, error of edges, and a light pull of the latents to a standard normal."""
    model = model.to(memory_format=torch.channels_last)

    def loss(step: int, draw: torch.Generator) -> Tensor:
        crops = []
        for _ in range(batch):
            index, style = (int(torch.randint(count, (1,), generator=draw)) for count in (len(pictures), DRAWN))
            shrink = 2 if float(torch.rand(1, generator=draw)) < HALF_SIZE else 1
            reach, cell = CROP * shrink, CELL * shrink
            places = torch.randint(0, (SIZE - reach) // cell + 1, (2,), generator=draw) * cell
            crop = pictures.crop(index, style, int(places[0]), int(places[1]), reach).float()
            crops.append(torch.nn.functional.avg_pool2d(crop, shrink))
        x = torch.stack(crops).to(device).div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            posterior = model.encode(x).latent_dist
            z = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=draw).to(device)
            y = model.decode(z).sample
        mean = posterior.mean.float()
        prior = 0.5 * (mean.square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        return _distance(y.float(), x) + 2e-4 * prior

    return Stage("autoencoder", model, loss, steps, rate, average=0.995)


def decoder_stage(
    model: AutoencoderKL, pictures: Pictures, *, batch: int, steps: int, rate: float, device: str
) -> Stage:
    """The decoder alone, on whole pictures: group norms see other statistics there than in crops, and tint flat places.

    The encoder stays as it is, so latents that were made before stay good.
    """
    model = model.to(memory_format=torch.channels_last)
    for part in (model.encoder, model.quant_conv):
        part.requires_grad_(False)

    def loss(step: int, draw: torch.Generator) -> Tensor:
        chosen = [[int(torch.randint(n, (1,), generator=draw)) for n in (len(pictures), DRAWN)] for _ in range(batch)]
        x = torch.stack([pictures.picture(*each) for each in chosen]).to(device).float().div(127.5).sub(1)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            with torch.no_grad():
                posterior = model.encode(x).latent_dist
            z = posterior.mean + 0.5 * posterior.std * torch.randn(posterior.mean.shape, generator=draw).to(device)
            y = model.decode(z).sample
        return _distance(y.float(), x)

    return Stage("decoder", model, loss, steps, rate, average=0.995)


def _distance(y: Tensor, x: Tensor) -> Tensor:
    difference = y - x
    edges = sum(difference.diff(dim=axis).abs().mean() for axis in (2, 3))
    return difference.abs().mean() + 2 * difference.square().mean() + 0.5 * edges


def latent_scale(model: AutoencoderKL, pictures: Pictures) -> float:
    """1 / standard deviation of the latents: the checkpoint's ``scaling_factor``."""
    with torch.no_grad():
        x = torch.cat([pictures[index] for index in range(0, len(pictures), max(1, len(pictures) // 32))])
        device = next(model.parameters()).device
        return float(1 / model.encode(x.to(device).float() / 127.5 - 1).latent_dist.mean.std())


@torch.no_grad()
def encode_pictures(model: AutoencoderKL, pictures: Pictures, size: int, path: Path, device: str) -> None:
    """Latents of every picture and of its mirror image, (pictures, styles, 2, 4, h, w) fp16, saved as .npy.

    Made once for a set of weights and pictures: a stamp beside the file says which they were.
    """
    encoder = {
        name: value for name, value in model.state_dict().items() if name.startswith(("encoder.", "quant_conv."))
    }
    count = len(pictures) if size == SIZE else pictures.scenes
    stamp = fingerprint(encoder, model.config.scaling_factor, count, size)
    stamped = path.with_suffix(".stamp")
    if path.exists() and stamped.exists() and stamped.read_text() == stamp:
        return
    model = model.to(device).eval()
    latents = np.empty((count, DRAWN, 2, 4, size // 8, size // 8), np.float16)
    for index in range(count):
        x = (pictures[index] if size == SIZE else pictures.halves(index)).to(device).float() / 127.5 - 1
        both = torch.cat((x, x.flip(3))).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            mean = model.encode(both).latent_dist.mean
        latents[index] = (
            (mean.float() * model.config.scaling_factor)
            .reshape(2, DRAWN, 4, size // 8, size // 8)
            .transpose(0, 1)
            .cpu()
            .numpy()
        )
    temporary = path.with_suffix(".part.npy")
    np.save(temporary, latents)
    stamped.unlink(missing_ok=True)
    temporary.replace(path)
    stamped.write_text(stamp)
