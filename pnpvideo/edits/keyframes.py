"""Shared keyframe attention: edited lanes of all frames look at the same keyframes (arXiv 2307.10373, 4.1)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site
from pnpvideo.injection.edit import Attend


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
        return self.everyone or lanes.frames == moment.keyframes

    def needs_source(self, moment: Moment) -> bool:
        return False

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        edited = call.lanes.edited
        if call.lanes.frames != call.moment.keyframes:
            extra = self._shared[call.site]
            return attend(call.replace(extra={lane: extra[lane] for lane in edited}))
        k, v = _folded(call.k, edited), _folded(call.v, edited)
        if self.everyone:
            self._shared[call.site] = {lane: (k[lane], v[lane]) for lane in edited}
        return attend(
            call.replace(k={**dict(_own(call.k, call.lanes)), **k}, v={**dict(_own(call.v, call.lanes)), **v})
        )


def _folded(values: Mapping[str, Tensor], lanes: tuple[str, ...]) -> dict[str, Tensor]:
    """All keyframes' tokens as one sequence: (frames, tokens, channels) -> (1, frames * tokens, channels)."""
    return {lane: values[lane].flatten(0, 1).unsqueeze(0) for lane in lanes}


def _own(values: Mapping[str, Tensor], lanes: Lanes) -> dict[str, Tensor]:
    return {lane: values[lane] for lane in lanes.names if lane not in lanes.edited}


def draw_keyframes(frames: int, every: int, seed: int, shot: int, step: int) -> tuple[int, ...]:
    """One keyframe of each segment of ``every`` frames, drawn anew at every step; the tail is a segment too.

    The draw is a function of (seed, shot, step) alone, so that a resumed run makes the same.
    """
    number = (seed * 1_000_003 + shot) * 1_009 + step
    generator = torch.Generator().manual_seed(number % (2**63))
    keyframes = []
    for start in range(0, frames, every):
        size = min(every, frames - start)
        keyframes.append(start + int(torch.randint(size, (1,), generator=generator)))
    return tuple(keyframes)
