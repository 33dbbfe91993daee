"""What of a picture may change: masks of latents, from files or from where the network attends to a word."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.edits.cross_attention import CrossAttentionMaps
from pnpvideo.edits.word_mask import SHARPEST, word_mask
from pnpvideo.engine.anchors import AfterStep
from pnpvideo.engine.run import Run, Window
from pnpvideo.errors import OptionError
from pnpvideo.events import Notice
from pnpvideo.injection import Kind, Lanes, Moment, injected, select
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.words.phrases import noun_after
from pnpvideo.words.prompt_weights import plain_text
from pnpvideo.words.templates import ADJECTIVES

LEVELS = (0.3, 0.5, 0.7)
"""Shares of the way up at which the network's attention to a word is recorded."""


def latent_masks(masks: Sequence[np.ndarray], height: int, width: int) -> Tensor:
    """Masks (h, w) uint8 of any size, white where a picture may change -> (f, 1, height, width) in [0, 1]."""
    small = [cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) for mask in masks]
    return torch.from_numpy(np.stack(small)).float().div(255).unsqueeze(1)


def word_masks(run: Run, window: Window, trajectory: Trajectory) -> Tensor:
    """Mask (f, 1, h', w') of where the source's own passes attend to ``window.tokens`` of the source prompt."""
    assert window.tokens is not None
    tokens, frames = window.tokens, range(len(window.times))
    return torch.cat([word_mask(_maps(run, window, trajectory, n), tokens, *window.noise.shape[-2:]) for n in frames])


def _maps(run: Run, window: Window, trajectory: Trajectory, frame: int) -> list[Tensor]:
    """Cross-attention weights (1, heads, pixels, tokens) of one frame of the source, of all layers and LEVELS."""
    height, width = window.noise.shape[-2:]
    schedule, backend = run.schedule, run.backend
    coarser = 1 if min(height, width) < 2 * SHARPEST else 2  # the finest maps are large, and show edges only
    most = -(-height // coarser) * -(-width // coarser)
    recorded = CrossAttentionMaps(select(backend.sites, Kind.CROSS), most)
    lanes = Lanes((SOURCE,), (frame,))
    maps: list[Tensor] = []
    with torch.no_grad(), injected(backend.network, [recorded]) as session:
        for share in LEVELS:
            level = max(1, round(share * schedule.steps))
            moment = Moment(schedule.steps - level, schedule.steps, schedule.timestep(level))
            recorded.begin(moment)
            with session.during(moment, lanes):
                latents = trajectory.at(level)[frame : frame + 1].to(backend.device)
                backend.predict(latents, moment.timestep, window.script.prompt_embeddings[SOURCE].batch())
            maps += [found[SOURCE].cpu() for found in recorded.take().values()]
    return maps


def keep_source(trajectory: Trajectory, mask: Tensor) -> AfterStep:
    """A sampler's ``after_step``: outside of ``mask`` (f, 1, h', w') the latents are the source's, at every level."""

    def after_step(x: Tensor, level: int) -> Tensor:
        return torch.lerp(trajectory.at(level).to(x), x, mask.to(x))

    return after_step


class WordRegion:
    """Finds, shot by shot, where the source prompt names the thing that alone may change.

    word: that thing, such as "ball"; None: everything may change.
    """

    def __init__(self, run: Run, word: str | None) -> None:
        self._run, self._word = run, word
        self._found, self._missing = False, ""

    def tokens(self, source_prompt: str, shot: int, first: bool) -> tuple[int, ...] | None:
        """Positions of the word's tokens; none where this shot does not show it, which is said once a shot; None where
        everything may change. first: this is the shot's first window."""
        if self._word is None:
            return None
        if tokens := tokens_of(self._run.backend, source_prompt, self._word):
            self._found = True
            return tokens
        self._missing = (
            f"keep_background looks for {self._word!r}, and the source prompt does not say it: {source_prompt!r}"
        )
        if first:
            self._run.report(Notice(message=f"shot {shot + 1} is kept as it is: {self._missing}"))
        return ()

    def check(self) -> None:
        """Raise OptionError if no shot had anything that may change."""
        if self._missing and not self._found:
            raise OptionError(f"{self._missing}; give a source prompt that does, or a mask")


def tokens_of(backend: Backend, source_prompt: str, word: str) -> tuple[int, ...]:
    """Positions of the tokens of ``word`` in the source prompt, as it is or in the plural; none where it is not there.

    Of an adjective ("red"), those of the thing that it describes.
    """
    text = plain_text(source_prompt)
    for form in (word, f"{word}s", f"{word}es"):
        named = noun_after(text, form) if form.lower() in ADJECTIVES else ""
        if found := backend.text.positions(text, named or form):
            return found
    return ()
