"""How well a checkpoint knows the world: ``python -m pnpvideo.measure.model`` prints what its two halves give back.

On scenes that training never saw: pictures through the autoencoder, and latents through inversion and sampling.
"""

import argparse

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.sample import sample
from pnpvideo.miniature.recipe.data import HELD_OUT, moment
from pnpvideo.miniature.world import STYLES, caption, render
from pnpvideo.video.likeness import psnr


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pnpvideo.measure.model", description=__doc__)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--steps", type=int, nargs="*", default=[50, 200], help="of the inversions to try")
    parser.add_argument("--round-trips", type=int, default=4, help="scenes that are inverted")
    asked = parser.parse_args()
    backend = StableDiffusion(asked.model, torch.device("cpu"), torch.float32)
    for style in STYLES:
        likeness = [autoencoder_psnr(backend, HELD_OUT + number, style) for number in range(asked.scenes)]
        print(f"autoencoder, {style}: {np.mean(likeness):.2f} dB", flush=True)
    for steps in asked.steps:
        trips = [round_trip(backend, HELD_OUT + number, "cartoon", steps) for number in range(asked.round_trips)]
        print(f"inversion and back, {steps} steps: {np.mean(trips):.2f} dB", flush=True)


def picture(scene: int, style: str, size: int) -> np.ndarray:
    """Scene number ``scene`` at the moment that its number draws, (1, size, size, 3) uint8."""
    drawn = render([moment(scene)], [style], size)[style]
    return (drawn * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def autoencoder_psnr(backend: Backend, scene: int, style: str) -> float:
    """PSNR in dB of a picture of the world that was encoded and decoded."""
    given = picture(scene, style, backend.size)
    return psnr(backend.decode(backend.encode(given)), given)


def round_trip(backend: Backend, scene: int, style: str, steps: int, size: int | None = None) -> float:
    """Signal to noise in dB, 10 log10(sum x^2 / sum (x' - x)^2), of a latent inverted and sampled again.

    Both ways with the source's caption at guidance 1, in ``steps`` steps; ``size`` in pixels, None: the native one.
    """
    latent = backend.encode(picture(scene, style, size or backend.size))
    words = backend.embed(caption(moment(scene), style)).unsqueeze(0)
    schedule = backend.schedule(steps)

    def predict(x: Tensor, timestep: int) -> Tensor:
        return backend.predict(x, timestep, words)

    *_, noisy = invert(predict, latent, schedule)
    *_, back = sample(lambda x, level: predict(x, schedule.timestep(level)), noisy.x, schedule, steps)
    return float(10 * torch.log10(latent.square().sum() / (back.x - latent).square().sum()))


if __name__ == "__main__":
    main()
