"""Shared keyframe attention: edited lanes attend to the keys of several keyframes (arXiv 2307.10373, section 4.1)."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pnpvideo.diffusion.noise import mixed_seed
from pnpvideo.injection import AttentionCall, Lanes, Moment, Site
from pnpvideo.injection.edit import Attend, AttentionEdit

GOLDEN = (5**0.5 - 1) / 2


class SharedAttention:
    """Let keyframes attend to all keyframes; with ``everyone``, other frames attend to themselves and the keyframes.

    The source lane attends to its own frame only. Keys and values are never repeated per query frame: keyframes'
    queries are joined into one sequence, other frames are attended one by one. This edit comes after structure
    injection in the stack, so that the shared keys are the source's wherever the source's keys are injected.
    """

    def __init__(self, sites: tuple[Site, ...], everyone: bool) -> None:
        self.sites, self.everyone = sites, everyone
        self._shared: dict[Site, dict[str, tuple[Tensor, Tensor]]] = {}

    def begin(self, moment: Moment) -> None:
        self._shared.clear()

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return bool(lanes.edited) and (self.everyone or lanes.frames == moment.keyframes)

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        if call.lanes.frames != call.moment.keyframes:
            return attend(replace(call, extra=self._shared[call.site]))
        k, v = _joined(call.k), _joined(call.v)
        if self.everyone:
            self._shared[call.site] = {lane: (k[lane], v[lane]) for lane in call.lanes.names}
        return attend(replace(call, k=k, v=v))


class KeyframesOnly:
    """Restrict an attention edit to keyframe passes; in other passes it neither runs nor needs the source."""

    def __init__(self, edit: AttentionEdit) -> None:
        self.edit, self.sites = edit, edit.sites

    def begin(self, moment: Moment) -> None:
        self.edit.begin(moment)

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return lanes.frames == moment.keyframes and self.edit.active(moment, lanes)

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return frames == moment.keyframes and self.edit.needs_source(moment, frames)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        return self.edit(call, attend)


def _joined(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join all keyframes' tokens into one sequence: (frames, tokens, channels) -> (1, frames * tokens, channels)."""
    return {lane: tokens.flatten(0, 1).unsqueeze(0) for lane, tokens in values.items()}


def draw_keyframes(frames: int, every: int, place: tuple[int, int, int], step: int) -> tuple[int, ...]:
    """Choose one keyframe from each segment of ``every`` frames; ascending indices, below ``frames``.

    The last segment may be shorter and has one too. At step 0 it is random; each further step moves on by the golden
    ratio times the segment's length, modulo that length, so even after few steps all frames have been keyframes about
    equally often. (With a random draw at every step, as published, some frames never are; docs/architecture.md has
    figures.) The result depends on the arguments alone, so a resumed run draws the same. place: the run's seed, and the
    indices of the shot and of its window.
    """
    generator = torch.Generator().manual_seed(mixed_seed(*place))
    keyframes = []
    for start in range(0, frames, every):
        size = min(every, frames - start)
        first = float(torch.rand((), generator=generator, dtype=torch.float64))
        keyframes.append(start + int((first + step * GOLDEN) % 1 * size))
    return tuple(keyframes)
