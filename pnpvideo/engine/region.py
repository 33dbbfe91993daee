"""Edit masks of latents, from files or from cross-attention to a word."""

from collections.abc import Sequence
from functools import partial

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
from pnpvideo.injection import Kind, Lanes, Moment, Session, injected, select
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.words.phrases import noun_after
from pnpvideo.words.prompt_weights import plain_text
from pnpvideo.words.templates import ADJECTIVES

LEVELS = (0.3, 0.5, 0.7)
"""Levels at which the network's attention to a word is recorded, as shares of the schedule's steps."""


def latent_masks(masks: Sequence[np.ndarray], height: int, width: int) -> Tensor:
    """Scale masks (h, w) uint8 of any size, white where a picture may change, to (f, 1, height, width) in [0, 1]."""
    small = [cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) for mask in masks]
    return torch.from_numpy(np.stack(small)).float().div(255).unsqueeze(1)


def word_masks(run: Run, window: Window, trajectory: Trajectory) -> Tensor:
    """Masks (f, 1, h', w') in [0, 1] of where the source's passes attend to ``window.tokens`` of the source prompt."""
    assert window.tokens is not None
    tokens, frames = window.tokens, range(len(window.times))
    return torch.cat([word_mask(_maps(run, window, trajectory, n), tokens, *window.noise.shape[-2:]) for n in frames])


def _maps(run: Run, window: Window, trajectory: Trajectory, frame: int) -> list[Tensor]:
    """Cross-attention weights of one source frame, (1, heads, pixels, tokens) each, of all layers at LEVELS."""
    height, width = window.noise.shape[-2:]
    schedule, backend = run.schedule, run.backend
    coarser = 1 if min(height, width) < 2 * SHARPEST else 2  # skip the finest maps: they are large, and show edges only
    most = -(-height // coarser) * -(-width // coarser)
    recorded = CrossAttentionMaps(select(backend.sites, Kind.CROSS), most)
    lanes = Lanes((SOURCE,), (frame,))
    maps: list[Tensor] = []

    def record(latents: Tensor, moment: Moment, session: Session) -> list[Tensor]:
        recorded.begin(moment)
        with session.during(moment, lanes):
            backend.predict(latents, moment.timestep, window.script.prompt_embeddings[SOURCE].batch())
        return [by_lane[SOURCE].cpu() for by_lane in recorded.take().values()]

    with torch.no_grad(), injected(backend.network, [recorded]) as session:
        for share in LEVELS:
            level = max(1, round(share * schedule.steps))
            moment = Moment(schedule.steps - level, schedule.steps, schedule.timestep(level))
            latents = trajectory.at(level)[frame : frame + 1].to(backend.device)
            maps += run.guard.run(partial(record, latents, moment, session))
    return maps


def keep_source(trajectory: Trajectory, mask: Tensor) -> AfterStep:
    """A sampler's ``after_step`` that blends in the source's latents where ``mask`` (f, 1, h', w') is below 1."""

    def after_step(x: Tensor, level: int) -> Tensor:
        return torch.lerp(trajectory.at(level).to(x), x, mask.to(x))

    return after_step


class WordRegion:
    """Locate, in each shot's source prompt, the word whose region alone may change.

    word: such as "ball"; None: everything may change.
    """

    def __init__(self, run: Run, word: str | None) -> None:
        self._run, self._word = run, word
        self._found, self._missing = False, ""

    def tokens(self, source_prompt: str, shot: int, first: bool) -> tuple[int, ...] | None:
        """Positions of the word's tokens in the source prompt; () if it is not there, which is reported once a shot.

        None if everything may change. shot: index. first: this is the shot's first window.
        """
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
        """Raise OptionError if no shot's source prompt says the word."""
        if self._missing and not self._found:
            raise OptionError(f"{self._missing}; give a source prompt that does, or a mask")


def tokens_of(backend: Backend, source_prompt: str, word: str) -> tuple[int, ...]:
    """Token positions of ``word``, singular or plural, in the source prompt; () if it is not there.

    For an adjective ("red"), those of the noun that it describes.
    """
    text = plain_text(source_prompt)
    for form in (word, f"{word}s", f"{word}es"):
        named = noun_after(text, form) if form.lower() in ADJECTIVES else ""
        if found := backend.text.positions(text, named or form):
            return found
    return ()
