"""Translate one window: a shot, or a part of a long one, inverted, sampled and decoded."""

from typing import NamedTuple

import numpy as np
import torch

from pnpvideo.engine.anchors import Anchors
from pnpvideo.engine.beginning import Beginning
from pnpvideo.engine.control import control_edits
from pnpvideo.engine.inversion import source_trajectory
from pnpvideo.engine.keys import run_key, source_key
from pnpvideo.engine.memory import memory_errors
from pnpvideo.engine.pictures import decode
from pnpvideo.engine.recorder import SourceRecorder
from pnpvideo.engine.region import latent_masks, word_masks
from pnpvideo.engine.run import Run, Window
from pnpvideo.engine.sampling import sample_window


class Translated(NamedTuple):
    """A window's result. A drawing is one distinct frame: frames that repeat it are not in the window.

    pictures: (drawings, h, w, 3) uint8 at the working size. masks: (drawings, h', w') float32 in [0, 1], of the
    latents' height and width, 1 where a picture may differ from its source; None: everywhere. anchors: drawings that
    later windows of the shot attend to; empty if no window follows. run: key of the sampling run in the store.
    """

    pictures: np.ndarray
    masks: np.ndarray | None
    anchors: Anchors
    run: str


def translate_window(run: Run, window: Window) -> Translated:
    """Invert the window's source, sample from it with the edits in place, and decode.

    The result depends on the arguments alone. The only side effects are on ``run``: its store, from which a repeated
    call resumes after the last saved step, its reports and its timings. Raises DeviceError if memory runs out or the
    network gives NaN.
    """
    backend, options = run.backend, run.options
    with memory_errors(), torch.no_grad():
        times = (*window.anchors.times, *window.times)
        edits = options.coherence.edits(options.method.edits(backend.sites), backend.sites, times)
        edits += control_edits(run.controls, window.anchors.with_conditions(window.conditions))
        recorder = SourceRecorder.of(run, window, edits)
        trajectory, trajectory_key = source_trajectory(run, window, recorder, source_key(run, window))
        mask = None
        if window.tokens is not None:
            mask = word_masks(run, window, trajectory)
        elif window.masks is not None:
            mask = latent_masks(window.masks, *window.noise.shape[-2:])
        key = run_key(run, window, trajectory_key, mask)
        beginning = Beginning(run, lambda step: run_key(run, window, trajectory_key, mask, step))
        latents, anchors = sample_window(run, window, trajectory, edits, mask, key, beginning)
        pictures = decode(run, window, latents)
    return Translated(pictures, None if mask is None else mask[:, 0].numpy(), anchors, key)
