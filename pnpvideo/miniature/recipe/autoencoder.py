"""The autoencoder's stage: AutoencoderKL on crops of the world's pictures."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pnpvideo.miniature.recipe.data import Pictures
from pnpvideo.miniature.recipe.stage import Stage
from pnpvideo.store import fingerprint

CROP, BATCH = 64, 16


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


def autoencoder_stage(pictures: Pictures, steps: int, device: str) -> Stage:
    model = new_autoencoder().to(memory_format=torch.channels_last)

    def loss(step: int, draw: torch.Generator) -> Tensor:
        crops = []
        for _ in range(BATCH):
            index = int(torch.randint(len(pictures), (1,), generator=draw))
            style = int(torch.randint(3, (1,), generator=draw))
            top, left = (int(v) for v in torch.randint(0, 256 - CROP + 1, (2,), generator=draw))
            crops.append(pictures.crop(index, style, top, left, CROP))
        x = torch.stack(crops).to(device).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            posterior = model.encode(x).latent_dist
            z = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=draw).to(device)
            y = model.decode(z).sample
        y, mean = y.float(), posterior.mean.float()
        difference = y - x
        edges = sum((difference.diff(dim=axis)).abs().mean() for axis in (2, 3))
        prior = 0.5 * (mean.square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        return difference.abs().mean() + 2 * difference.square().mean() + 0.5 * edges + 2e-4 * prior

    return Stage("autoencoder", model, loss, steps, rate=2e-3, average=0.99)


def latent_scale(model: AutoencoderKL, pictures: Pictures) -> float:
    """1 / standard deviation of the latents: the checkpoint's ``scaling_factor``."""
    with torch.no_grad():
        x = torch.cat([pictures[index] for index in range(0, len(pictures), max(1, len(pictures) // 32))])
        return float(1 / model.encode(x.float() / 127.5 - 1).latent_dist.mean.std())


@torch.no_grad()
def encode_pictures(model: AutoencoderKL, pictures: Pictures, size: int, path: Path, device: str) -> None:
    """Latents of every picture and of its mirror image, (pictures, styles, 2, 4, h, w) fp16, saved as .npy.

    Made once for a set of weights and pictures: a stamp beside the file says which they were.
    """
    stamp = fingerprint(dict(model.state_dict()), model.config.scaling_factor, len(pictures), size)
    stamped = path.with_suffix(".stamp")
    if path.exists() and stamped.exists() and stamped.read_text() == stamp:
        return
    model = model.to(device).eval()
    latents = np.empty((len(pictures), 3, 2, 4, size // 8, size // 8), np.float16)
    for index in range(len(pictures)):
        x = pictures[index].to(device).float() / 127.5 - 1
        x = torch.nn.functional.avg_pool2d(x, x.shape[-1] // size) if x.shape[-1] != size else x
        both = torch.cat((x, x.flip(3))).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            mean = model.encode(both).latent_dist.mean
        latents[index] = (
            (mean.float() * model.config.scaling_factor)
            .reshape(2, 3, 4, size // 8, size // 8)
            .transpose(0, 1)
            .cpu()
            .numpy()
        )
    temporary = path.with_suffix(".part.npy")
    np.save(temporary, latents)
    stamped.unlink(missing_ok=True)
    temporary.replace(path)
    stamped.write_text(stamp)
