"""Translate one window: a shot, or a part of a long one, inverted, sampled and decoded."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pnpvideo.engine.anchors import Anchors
from pnpvideo.engine.beginning import Beginning
from pnpvideo.engine.control import control_edits
from pnpvideo.engine.inversion import expected_key, source_trajectory
from pnpvideo.engine.keys import run_key, source_key
from pnpvideo.engine.memory import memory_errors
from pnpvideo.engine.pictures import decode
from pnpvideo.engine.recorder import SourceRecorder
from pnpvideo.engine.region import latent_masks, word_masks
from pnpvideo.engine.run import Run, Window
from pnpvideo.engine.sampling import sample_window
from pnpvideo.injection import Edit


class Keys(NamedTuple):
    """Keys in the store of a window's source trajectory and of its sampling run."""

    trajectory: str
    run: str


class Sampled(NamedTuple):
    """A window that is not decoded yet. latents: (drawings, c, h', w'). mask: (drawings, 1, h', w'), or None.

    anchors, run: as of Translated.
    """

    latents: Tensor
    mask: Tensor | None
    anchors: Anchors
    run: str

    def with_pictures(self, pictures: np.ndarray) -> "Translated":
        """The window's result, with what its latents were decoded to."""
        return Translated(pictures, None if self.mask is None else self.mask[:, 0].numpy(), self.anchors, self.run)


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


WindowTranslator = Callable[[Run, Window], Translated]


def translate_window(run: Run, window: Window) -> Translated:
    """Invert the window's source, sample from it with the edits in place, and decode.

    The result depends on the arguments alone. The only side effects are on ``run``: its store, from which a repeated
    call resumes after the last saved step, its reports and its timings. Raises DeviceError if memory runs out or the
    network gives NaN.
    """
    sampled = invert_and_sample(run, window)
    with memory_errors(), torch.no_grad():
        return sampled.with_pictures(decode(run, window, sampled.latents))


def invert_and_sample(run: Run, window: Window) -> Sampled:
    """``translate_window`` without the decoding; what it leaves in the store, a later call finds."""
    with memory_errors(), torch.no_grad():
        edits = _edits(run, window)
        recorder = SourceRecorder.of(run, window, edits)
        trajectory, trajectory_key = source_trajectory(run, window, recorder, source_key(run, window))
        mask = word_masks(run, window, trajectory) if window.tokens is not None else _file_mask(window)
        key = run_key(run, window, trajectory_key, mask)
        beginning = Beginning(run, lambda step: run_key(run, window, trajectory_key, mask, step))
        latents, anchors = sample_window(run, window, trajectory, edits, mask, key, beginning)
    return Sampled(latents, mask, anchors, key)


def expected_keys(run: Run, window: Window) -> Keys:
    """The keys that ``invert_and_sample`` uses if memory does not run out meanwhile, found without the network."""
    recorder = SourceRecorder.of(run, window, _edits(run, window))
    trajectory = expected_key(run, window, recorder, source_key(run, window))
    return Keys(trajectory, run_key(run, window, trajectory, _file_mask(window)))


def _edits(run: Run, window: Window) -> list[Edit]:
    coherence, sites = run.options.coherence, run.backend.sites
    edits = coherence.edits(run.options.method.edits(sites), sites, (*window.anchors.times, *window.times))
    return edits + control_edits(run.controls, window.anchors.with_conditions(window.conditions))


def _file_mask(window: Window) -> Tensor | None:
    return None if window.masks is None else latent_masks(window.masks, *window.noise.shape[-2:])
