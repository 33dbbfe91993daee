"""Shared keyframe attention: edited lanes of all frames look at the same keyframes (arXiv 2307.10373, 4.1)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site
from pnpvideo.injection.edit import Attend, AttentionEdit

GOLDEN = (5**0.5 - 1) / 2


class SharedAttention:
    """Keyframes attend to all keyframes; with ``everyone`` the other frames attend to themselves and the keyframes.

    The source lane attends to its own frame only. Keys and values are never repeated for each query frame: the
    keyframes' queries are folded into one sequence, other frames are attended one by one. Stands inside structure
    injection, so that the extended keys are the source's where the source's are injected.
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
            return attend(call.replace(extra=self._shared[call.site]))
        k, v = _folded(call.k), _folded(call.v)
        if self.everyone:
            self._shared[call.site] = {lane: (k[lane], v[lane]) for lane in call.lanes.names}
        return attend(call.replace(k=k, v=v))


class OfKeyframes:
    """An ``edit`` of attention where only keyframes attend: the passes of other frames are none of its business, nor
    is the source of those."""

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


def _folded(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All keyframes' tokens as one sequence: (frames, tokens, channels) -> (1, frames * tokens, channels)."""
    return {lane: tokens.flatten(0, 1).unsqueeze(0) for lane, tokens in values.items()}


def draw_keyframes(frames: int, every: int, seed: int, place: tuple[int, int], step: int) -> tuple[int, ...]:
    """One keyframe of each segment of ``every`` frames, another one at every step; the tail is a segment too.

    Where a segment begins is drawn; from there each step goes on by the golden section of it, so that all its frames
    are keyframes equally often, after few steps too; drawn anew at every step, as published, some never are (what that
    costs: docs/architecture.md). A function of its arguments alone, so that a resumed run makes the same; place:
    which shot, and which window of it.
    """
    shot, window = place
    number = seed * 1_000_003 + shot + window * 2_147_483_659
    generator = torch.Generator().manual_seed(number % (2**63))
    keyframes = []
    for start in range(0, frames, every):
        size = min(every, frames - start)
        first = float(torch.rand((), generator=generator, dtype=torch.float64))
        keyframes.append(start + int((first + step * GOLDEN) % 1 * size))
    return tuple(keyframes)
