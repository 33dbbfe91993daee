"""Measure inverted noise: its whiteness and its reconstruction error, with and without regularisation."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.regularise import Regularisation
from pnpvideo.diffusion.sample import sample
from pnpvideo.measure.figures import nanmean
from pnpvideo.measure.footage import Footage
from pnpvideo.methods.trajectory import shot_noise
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.world import STYLES, caption, random_scene
from pnpvideo.options import TranslateOptions
from pnpvideo.resolved import Resolved


def noise_figures(noise: Tensor) -> dict[str, float]:
    """Whiteness of latents (f, c, h, w), each figure a mean over frames and channels.

    noise_mean: absolute mean of a channel. noise_variance: its variance. noise_correlation: absolute correlation with
    itself, shifted by one cell down or across. White noise has variance 1 and the others near 0.
    """
    centred = noise - noise.mean((2, 3), keepdim=True)
    variance = centred.square().mean((2, 3))
    across = [(centred * centred.roll(1, axis)).mean((2, 3)) / variance for axis in (2, 3)]
    return {
        "noise_mean": float(noise.mean((2, 3)).abs().mean()),
        "noise_variance": float(variance.mean()),
        "noise_correlation": float(torch.stack(across).abs().mean()),
    }


def measure_inversion(base: TranslateOptions, pictures: int, size: int) -> dict[str, dict[str, float]]:
    """Row -> figures, means over held-out stills: white noise, plain inversion, and regularised with a gain of 1 and 2.

    Each still is inverted by ``base`` with its own caption and sampled back. "returned": signal-to-noise ratio of the
    latents in dB, 10 log10(sum x^2 / sum (x' - x)^2).
    """
    backend = StableDiffusion.of(base)
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(pictures):
        style = list(STYLES)[number % len(STYLES)]
        scene = random_scene(HELD_OUT + number, things=1)
        picture = Footage(scene, style, style, 1, size).source
        white = shot_noise(backend.latent_shape(size, size), base.seed, number)
        found.setdefault("white noise", []).append(noise_figures(white))
        for name, gain in (("inverted, plain", 0.0), ("pyramid gain 1", 1.0), ("pyramid gain 2", 2.0)):
            clean, noise, back = invert_and_sample(
                backend, picture, caption(scene, style), Resolved.of(replace(base, regularize=gain), backend)
            )
            returned = 10 * float(torch.log10(clean.square().sum() / (back - clean).square().sum()))
            found.setdefault(name, []).append({**noise_figures(noise), "returned": returned})
    return {name: {key: nanmean([row[key] for row in rows]) for key in rows[0]} for name, rows in found.items()}


def invert_and_sample(
    backend: Backend, pictures: Sequence[np.ndarray], caption: str, resolved: Resolved
) -> tuple[Tensor, Tensor, Tensor]:
    """Invert pictures (h, w, 3) uint8 and sample with the same caption at guidance 1: (latents, noise, result)."""
    words, schedule = backend.embed(caption), backend.schedule(resolved.steps, resolved.spacing)
    regularise = Regularisation(pyramid_gain=resolved.regularize)
    clean = backend.encode(np.stack(pictures))
    told = words.unsqueeze(0).expand(len(clean), -1, -1)

    def predict(x: Tensor, level: int) -> Tensor:
        return backend.predict(x, schedule.timestep(level), told)

    refine = (lambda eps, level: regularise(eps, Random(level))) if resolved.regularize else None
    rounds, solver = resolved.inversion_rounds, resolved.solver
    *_, noisy = invert(predict, clean, schedule, rounds=rounds, refine=refine, solver=solver)
    *_, back = sample(lambda x, level: (x, predict(x, level)), noisy.x, schedule, schedule.steps, solver=solver)
    return clean, noisy.x, back.x
