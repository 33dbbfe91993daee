"""Evaluations are counted by latents, inside the block only."""

import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.measure.evaluations import count_evaluations


def test_each_latent_of_each_call_counts(backend: StableDiffusion) -> None:
    x, words = torch.zeros(3, *backend.latent_shape(32, 32)), backend.embed("a fox")
    with torch.no_grad(), count_evaluations(backend) as counts:
        backend.predict(x, 1, words.batch(3))
        backend.predict(x[:1], 1, words.batch(1))
    with torch.no_grad():
        backend.predict(x, 1, words.batch(3))
    assert counts == [3, 1]
