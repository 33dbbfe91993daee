"""Measure inverted noise: its whiteness and its reconstruction error, with and without regularisation."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.load import load
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import State
from pnpvideo.engine.inversion import regularisation
from pnpvideo.engine.run import Run
from pnpvideo.events import ignore
from pnpvideo.measure.figures import nanmean
from pnpvideo.measure.footage import Footage
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.world import STYLES, caption, random_scene
from pnpvideo.settings.options import Options
from pnpvideo.store import Store


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


def measure_inversion(base: Options, pictures: int, size: int) -> dict[str, dict[str, float]]:
    """Row -> figures, means over held-out stills: white noise, plain inversion, and regularised with a gain of 1 and 2.

    Each still is inverted by ``base`` with its own caption and sampled back. "returned": signal-to-noise ratio of the
    latents in dB, 10 log10(sum x^2 / sum (x' - x)^2).
    """
    backend = load(base.model, base.runtime, customization=base.customization)
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(pictures):
        style = list(STYLES)[number % len(STYLES)]
        scene = random_scene(HELD_OUT + number, things=1)
        picture = Footage(scene, style, style, 1, size).source
        white = shot_noise(backend.latent_shape(size, size), base.sampling.seed, number)
        found.setdefault("white noise", []).append(noise_figures(white))
        for name, gain in (("inverted, plain", 0.0), ("pyramid gain 1", 1.0), ("pyramid gain 2", 2.0)):
            clean, noise, back = invert_and_sample(
                Run.of(backend, base.changed({"regularize": gain}), Store(), ignore), picture, caption(scene, style)
            )
            returned = 10 * float(torch.log10(clean.square().sum() / (back - clean).square().sum()))
            found.setdefault(name, []).append({**noise_figures(noise), "returned": returned})
    return {name: {key: nanmean([row[key] for row in rows]) for key in rows[0]} for name, rows in found.items()}


def invert_and_sample(run: Run, pictures: Sequence[np.ndarray], caption: str) -> tuple[Tensor, Tensor, Tensor]:
    """Invert pictures (h, w, 3) uint8 and sample with the same caption at guidance 1: (latents, noise, result)."""
    backend, schedule, sampling = run.backend, run.schedule, run.options.sampling
    clean = backend.encode(np.stack(pictures))
    words = backend.embed(caption).batch(len(clean))

    def predict(x: Tensor, level: float) -> Tensor:
        return backend.predict(x, schedule.timestep(level), words)

    rounds, refine = sampling.inversion_rounds or 0, regularisation(run)
    *_, noisy = invert(predict, State(clean, 0), schedule, run.solver, rounds, refine)
    *_, back = sample(lambda x, level: (x, predict(x, level)), State(noisy.x, schedule.steps), schedule, run.solver)
    return clean, noisy.x, back.x
