"""What of a picture may change: masks, given or found by a word, and the source that is kept outside of them."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.edits.cross_attention import CrossAttentionMaps
from pnpvideo.edits.word_mask import SHARPEST, word_mask
from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.injection import Kind, Lanes, Moment, injected, select
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.methods.method import Trajectory
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.fit import grey
from pnpvideo.video.read import read
from pnpvideo.words.phrases import noun_after
from pnpvideo.words.prompt_weights import plain_text
from pnpvideo.words.templates import ADJECTIVES

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
    text = plain_text(source_prompt)
    for form in (word, f"{word}s", f"{word}es"):
        named = noun_after(text, form) if form.lower() in ADJECTIVES else ""
        if found := backend.text.positions(text, named or form):
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


ASPECT = 0.02
"""Share by which a mask's aspect may differ from the input's: what rounding to whole pixels makes of it."""


class Masks:
    """The masks of a clip's frames, in order, each (h, w) uint8: a still serves all of them.

    span: of the input; a mask clip has as many frames as the whole input, or as the span. Raises OptionError where its
    aspect, or as far as it is known beforehand its number of frames, is another than that of ``clip``.
    """

    def __init__(
        self, path: Path, clip: ClipInfo, span: tuple[int, int | None] | None, report: Report = ignore
    ) -> None:
        self.path, opened = path, read(path, report=report)
        given = opened.info
        if abs(given.width * clip.height / (given.height * clip.width) - 1) > ASPECT:
            raise OptionError(
                f"the mask {str(path)!r} is {given.width} x {given.height}, the input {clip.width} x {clip.height}: "
                "give a mask of the same aspect"
            )
        if (given.width, given.height) != (clip.width, clip.height):
            report(
                Notice(
                    message=f"the mask {str(path)!r} is {given.width} x {given.height}, the input {clip.width} x "
                    f"{clip.height}: it is scaled"
                )
            )
        self.still = grey(next(opened.frames()).pixels) if given.kind == "still" else None
        if self.still is None and span is not None and given.frames != clip.frames:
            opened = read(path, span=span, report=report)
        if self.still is None and None not in (opened.info.frames, clip.frames):
            self._check(opened.info.frames or 0, clip.frames or 0)
        frames = opened.frames() if self.still is None else iter(())
        self.rest = (grey(frame.pixels) for frame in frames)

    def _check(self, count: int, wanted: int) -> None:
        if count != wanted:
            which = "fewer" if count < wanted else "more"
            raise OptionError(
                f"the mask {str(self.path)!r} has {which} frames than the input; a still serves all of them"
            )

    def take(self, count: int) -> list[np.ndarray]:
        """Those of the next frames. Raises OptionError where there are fewer."""
        if self.still is not None:
            return [self.still] * count
        taken = list(itertools.islice(self.rest, count))
        self._check(len(taken), count)
        return taken

    def finish(self) -> None:
        """Raises OptionError where masks are left over."""
        if self.still is None and next(self.rest, None) is not None:
            self._check(1, 0)
