"""Encode pictures to latents and decode them, one at a time; warn of pictures outside the training domain."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from pnpvideo.diffusion.noise import seeded_noise
from pnpvideo.diffusion.trajectory import ForwardProcess
from pnpvideo.engine.run import Run, Window
from pnpvideo.events import Notice, StepPicture


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
    decoder = run.quick.decode if run.quick is not None and run.rough else run.backend.decode
    with run.timed("decode"):
        for index in range(total):
            with window.located("decode", index + 1, total):
                pictures.append(run.guard.run(partial(decoder, latents[index : index + 1])))
            run.report(window.progress("decode", index + 1, total, "frame"))
    return np.concatenate(pictures)


def shows_step(run: Run, level: int) -> bool:
    """Whether the step that reached ``level`` is one of those of the option ``preview_every``; the last never is."""
    every = run.options.runtime.preview_every
    return every is not None and level > 0 and (run.schedule.steps - level) % every == 0


def report_picture(run: Run, window: Window, x0: Tensor, step: int) -> None:
    """Report the window's middle drawing, decoded from the estimates ``x0`` (f, c, h', w') at a step, from 1."""
    middle = len(x0) // 2
    with run.timed("preview"), window.located("preview", step, run.schedule.steps):
        decoder = run.backend.decode if run.quick is None else run.quick.decode
        picture = run.guard.run(partial(decoder, x0[middle : middle + 1]))[0]
    run.report(
        StepPicture(
            picture=picture,
            step=step,
            steps=run.schedule.steps,
            shot=window.place.shot + 1,
            window=window.place.window + 1,
            seconds=window.times[middle],
        )
    )


def warn_if_unfamiliar(run: Run, window: Window, clean: Tensor) -> None:
    """Warn once if the first frame is outside the model's training domain.

    Noise is added to its latents ``clean`` (f, c, h', w'), at level 2 of a 4-step schedule, and the network predicts it
    under the empty prompt; a mean squared error above the card's ``familiar_error`` means an unfamiliar picture. Only
    the first window of the first shot is checked.
    """
    card = run.backend.card
    checked = card.knows_pictures_at(run.options.sampling.size or run.backend.size, run.backend.size)
    if (window.place.shot, window.place.window) != (0, 0) or card.outside_notice is None or not checked:
        return
    x, level, quarters = clean[:1].to(run.device), 2, run.backend.schedule(4)
    noise = seeded_noise(x.shape, 0).to(x.device)
    noisy = ForwardProcess(x, noise, quarters).at(level)
    empty = window.script.prompt_embeddings["empty"].batch()
    output = run.guard.run(partial(run.backend.predict, noisy, quarters.timestep(level), empty))
    if float((quarters.estimate(noisy, output, level).eps - noise).square().mean()) > card.familiar_error:
        run.report(Notice(message=card.outside_notice))
