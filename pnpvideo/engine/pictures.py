"""Pictures to latents and back, frame by frame, and the check whether the model knows such pictures."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from pnpvideo.diffusion.noise import seeded_noise
from pnpvideo.diffusion.trajectory import ForwardProcess
from pnpvideo.engine.run import Run, Window
from pnpvideo.events import Notice


def encode(run: Run, window: Window) -> Tensor:
    """Latents (f, c, h', w') of the window's drawings."""
    latents, total = [], len(window.pixels)
    with run.timed("encode"):
        for index in range(total):
            with window.located("encode", index + 1, total):
                latents.append(run.guard.run(partial(run.backend.encode, window.pixels[index : index + 1])))
            run.report(window.progress("encode", index + 1, total, "frame"))
    return torch.cat(latents)


def decode(run: Run, window: Window, latents: Tensor) -> np.ndarray:
    """Pictures (f, h, w, 3) uint8 of the window's latents (f, c, h', w')."""
    pictures, total = [], len(latents)
    with run.timed("decode"):
        for index in range(total):
            with window.located("decode", index + 1, total):
                pictures.append(run.guard.run(partial(run.backend.decode, latents[index : index + 1])))
            run.report(window.progress("decode", index + 1, total, "frame"))
    return np.concatenate(pictures)


def warn_if_unfamiliar(run: Run, window: Window, clean: Tensor) -> None:
    """Warn once if the first frame is outside the model's training domain.

    The network is asked for the noise in the frame's latents ``clean`` a quarter of the way up, where the checkpoint's
    card says how large its error is for pictures of its domain.
    """
    card = run.backend.card
    asked = card.knows_pictures_at(run.options.sampling.size or run.backend.size, run.backend.size)
    if (window.place.shot, window.place.window) != (0, 0) or card.outside_notice is None or not asked:
        return
    x, level, quarters = clean[:1].to(run.device), 2, run.backend.schedule(4)
    noise = seeded_noise(x.shape, 0).to(x.device)
    noisy = ForwardProcess(x, noise, quarters).at(level)
    output = run.backend.predict(noisy, quarters.timestep(level), window.script.prompt_embeddings["empty"].batch())
    if float((quarters.estimate(noisy, output, level).eps - noise).square().mean()) > card.familiar_error:
        run.report(Notice(message=card.outside_notice))
