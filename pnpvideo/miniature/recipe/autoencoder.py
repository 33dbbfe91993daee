"""The autoencoder's stages: AutoencoderKL on crops of all pictures, then on whole ones; and the latents it gives."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from pnpvideo.miniature.recipe.data import DRAWN, SIZE, Pictures
from pnpvideo.miniature.recipe.losses import contrast_loss
from pnpvideo.miniature.recipe.stage import Stage
from pnpvideo.store import fingerprint

LATENT_CHANNELS = 8
CROP, CELL = 64, 8
"""Pixels: crops start where cells of the latent do, as the sketch's strokes repeat with them."""
SIDES = ((CROP, 0.4), (2 * CROP, 0.35), (SIZE, 0.25))
"""Sides of squares in pixels and how often each is taken: in small ones most is learnt for the time, but group norms
see other statistics there than in whole pictures, and tint them."""
HALF_SIZE = 0.2
"""Share of crops from pictures of half the size: detail twice as fine for its size."""
BUSY, CANDIDATES = 0.6, 3
"""Share of crops that are the busiest of so many."""
PRIOR = 2e-4
"""Weight of the pull of the latents to a standard normal."""


def new_autoencoder() -> AutoencoderKL:
    """Four blocks (8x down) as Stable Diffusion's; narrower, and without attention in the middle."""
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
    worlds: Sequence[tuple[Pictures, float]],
    *,
    sides: Sequence[tuple[int, float]] = SIDES,
    batch: int,
    steps: int,
    rate: float,
    device: str,
) -> Stage:
    """Encoder and decoder on squares from each of ``worlds`` by its share; ``batch``: of CROP pixels, or their area."""
    shares, often = torch.tensor([share for _, share in worlds]), torch.tensor([share for _, share in sides])

    def loss(step: int, rng: torch.Generator) -> Tensor:
        side = sides[int(torch.multinomial(often, 1, generator=rng))][0]
        many = max(1, batch * CROP**2 // side**2)
        chosen = torch.multinomial(shares, many, replacement=True, generator=rng)
        squares = [square(worlds[int(which)][0], side, rng) for which in chosen]
        x = torch.stack(squares).to(device).div(127.5).sub(1)
        posterior = model.encode(x).latent_dist
        z = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=rng).to(device)
        y = model.decode(z).sample
        mean = posterior.mean.float()
        prior = 0.5 * (mean.square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        return distance(y.float(), x) + PRIOR * prior

    return Stage(name=name, module=model, loss=loss, batch=batch, steps=steps, rate=rate)


def distance(y: Tensor, x: Tensor) -> Tensor:
    """What is weighed between a result and its truth, (b, 3, h, w) in [-1, 1]."""
    difference = y - x
    return contrast_loss(y, x) + 0.3 * difference.abs().mean() + 3 * difference.square().mean()


def square(pictures: Pictures, side: int, rng: torch.Generator) -> Tensor:
    """A square of a random picture, (3, side, side) float in [0, 255], mirrored half of the time.

    Mostly the busiest of a few random ones: most squares are plain sky, ground or backdrop, which is soon learnt.
    """
    index, column = (int(torch.randint(count, (1,), generator=rng)) for count in (len(pictures), DRAWN))
    shrink = 2 if 2 * side <= SIZE and float(torch.rand(1, generator=rng)) < HALF_SIZE else 1
    looked_at = CANDIDATES if side < SIZE and float(torch.rand(1, generator=rng)) < BUSY else 1
    crops = []
    for _ in range(looked_at):
        places = torch.randint(0, (SIZE - side * shrink) // (CELL * shrink) + 1, (2,), generator=rng) * CELL * shrink
        crops.append(pictures.crop(index, column, int(places[0]), int(places[1]), side * shrink).float())
    crop = max(crops, key=lambda each: float(each[:, ::2, ::2].diff(dim=2).abs().mean()))
    crop = torch.nn.functional.avg_pool2d(crop, shrink)
    return crop.flip(2) if float(torch.rand(1, generator=rng)) < 0.5 else crop


@torch.no_grad()
def standardise_latents(model: AutoencoderKL, worlds: Sequence[Pictures], count: int = 32) -> None:
    """Give each latent channel mean 0 and deviation 1 on ``count`` pictures of each world; the function stays.

    What is divided out goes into the 1 x 1 convolutions on either side of the latent. A denoiser then meets the same
    signal in every channel at every noise level, and ``scaling_factor`` is 1.
    """
    chosen = [
        world.picture(index, index % DRAWN)
        for world in worlds
        for index in range(0, len(world), max(1, len(world) // count))
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
def encode_pictures(model: AutoencoderKL, pictures: Pictures, path: Path, device: str) -> None:
    """Latents of every picture and of its mirror image, (scenes, DRAWN, 2, c, h, w) fp16, saved as .npy.

    Made once for a set of weights and pictures: a stamp beside the file says which they were.
    """
    encoder = {
        name: value for name, value in model.state_dict().items() if name.startswith(("encoder.", "quant_conv."))
    }
    channels, side = model.config.latent_channels, SIZE // 8
    stamp = fingerprint(encoder, model.config.scaling_factor, len(pictures), SIZE)
    stamped = path.with_suffix(".stamp")
    if path.exists() and stamped.exists() and stamped.read_text() == stamp:
        return
    model = model.to(device).eval()
    latents = np.empty((len(pictures), DRAWN, 2, channels, side, side), np.float16)
    for index in range(len(pictures)):
        x = pictures[index].to(device).float() / 127.5 - 1
        both = torch.cat((x, x.flip(3)))
        mean = model.encode(both).latent_dist.mean * model.config.scaling_factor
        latents[index] = mean.unflatten(0, (2, DRAWN)).transpose(0, 1).cpu().numpy()
    temporary = path.with_suffix(".part.npy")
    np.save(temporary, latents)
    stamped.unlink(missing_ok=True)
    temporary.replace(path)
    stamped.write_text(stamp)
