"""What of a picture may change: masks, given or found by a word, and the source that is kept outside of them."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.edits.cross_attention import CrossAttentionMaps
from pnpvideo.edits.word_mask import SHARPEST, word_mask
from pnpvideo.injection import Kind, Lanes, Moment, injected, select
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.method import Trajectory
from pnpvideo.words.sentences import LOOKS, described

LEVELS = (0.3, 0.5, 0.7)
"""Shares of the way up at which it is asked where the network looks for a word."""


def of_latents(masks: Sequence[np.ndarray], height: int, width: int) -> Tensor:
    """Masks (h, w) uint8 of any size, white where a picture may change -> (f, 1, height, width) in [0, 1]."""
    small = [cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) for mask in masks]
    return torch.from_numpy(np.stack(small)).float().div(255).unsqueeze(1)


def tokens_of(backend: Backend, source_prompt: str, word: str) -> tuple[int, ...]:
    """Where the source prompt says ``word``, as it is or in the plural; of a look ("red"), where it says what.

    Nowhere: no tokens.
    """
    for form in (word, f"{word}s", f"{word}es"):
        named = described(source_prompt, form) if form.lower() in LOOKS else ""
        if found := backend.text.positions(source_prompt, named or form):
            return found
    return ()


def of_word(
    backend: Backend, trajectory: Trajectory, schedule: Schedule, words: Tensor, tokens: Sequence[int], frames: int
) -> Tensor:
    """Mask (f, 1, h, w) of where the source's own passes, told ``words`` (tokens, channels), look for ``tokens``."""
    return torch.cat([_looked_at(backend, trajectory, schedule, words, tokens, frame) for frame in range(frames)])


def _looked_at(
    backend: Backend, trajectory: Trajectory, schedule: Schedule, words: Tensor, tokens: Sequence[int], frame: int
) -> Tensor:
    height, width = trajectory.at(0).shape[-2:]
    coarser = 1 if min(height, width) < 2 * SHARPEST else 2  # the finest maps are large, and not what is looked for
    most = -(-height // coarser) * -(-width // coarser)
    watch = CrossAttentionMaps(select(backend.sites, Kind.CROSS), most)
    lanes = Lanes((SOURCE,), (frame,))
    maps: list[Tensor] = []
    with torch.no_grad(), injected(backend.network, [watch]) as session:
        for share in LEVELS:
            level = max(1, round(share * schedule.steps))
            moment = Moment(schedule.steps - level, schedule.steps, schedule.timestep(level))
            watch.begin(moment)
            with session.during(moment, lanes):
                latents = trajectory.at(level)[frame : frame + 1].to(backend.device)
                backend.predict(latents, moment.timestep, words.unsqueeze(0))
            maps += [found[SOURCE].cpu() for found in watch.take().values()]
    return word_mask(maps, tokens, height, width)


def kept(trajectory: Trajectory, mask: Tensor) -> Callable[[Tensor, int], Tensor]:
    """A sampler's ``settle``: what ``mask`` (f, 1, h, w) does not let change is the source's, at every level."""

    def settle(x: Tensor, level: int) -> Tensor:
        return torch.lerp(trajectory.at(level).to(x), x, mask.to(x))

    return settle
