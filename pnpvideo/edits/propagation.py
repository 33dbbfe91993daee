"""Token flow: other frames take their attention output from the keyframes, along the source (arXiv 2307.10373)."""

from bisect import bisect_right
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site
from pnpvideo.injection.edit import Attend
from pnpvideo.injection.lanes import SOURCE


class TokenFlow:
    """Keyframes' outputs are kept; every other frame gathers them along the source's correspondences.

    A token's neighbour in a keyframe is the one with the nearest source feature (cosine of the normalised input of
    the self-attention, section 4.2, eq. 4). Past and next keyframe are blended by true distance in time (eq. 5; we
    weigh linearly, w = d_other / (d_past + d_next), so that a frame at a keyframe's place gets that keyframe: the
    paper's sigmoid of this ratio never leaves 0.5 to 0.73). The source lane attends as ever, so that
    correspondences do not depend on the result. ``times`` are the frames' times in seconds.
    """

    def __init__(self, sites: tuple[Site, ...], times: Sequence[float]) -> None:
        self.sites, self.times = sites, tuple(times)
        self._features: dict[Site, Tensor] = {}
        self._outputs: dict[Site, dict[str, Tensor]] = {}

    def begin(self, moment: Moment) -> None:
        self._features.clear()
        self._outputs.clear()

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return len(self.times) > len(moment.keyframes)

    def needs_source(self, moment: Moment) -> bool:
        return len(self.times) > len(moment.keyframes)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        site, lanes = call.site, call.lanes
        features = F.normalize(call.hidden[lanes.rows(SOURCE)].float(), dim=2)
        if lanes.frames == call.moment.keyframes:
            output = attend(call)
            self._features[site] = features
            self._outputs[site] = {lane: output[lanes.rows(lane)].clone() for lane in lanes.edited}
            return output
        parts = {SOURCE: attend(call.only((SOURCE,)))}
        kept = self._outputs[site]
        blended: dict[str, list[Tensor]] = {lane: [] for lane in lanes.edited}
        for row, frame in enumerate(lanes.frames):
            (past, weight), (following, _) = neighbours(self.times, call.moment.keyframes, frame)
            back = correspondence(features[row], self._features[site][past])
            ahead = back if following == past else correspondence(features[row], self._features[site][following])
            for lane in lanes.edited:
                token = kept[lane][past][back]
                if following != past:
                    token = torch.lerp(kept[lane][following][ahead], token, weight)
                blended[lane].append(token)
        parts.update({lane: torch.stack(tokens) for lane, tokens in blended.items()})
        return lanes.stack(parts)


def correspondence(features: Tensor, keyframe: Tensor) -> Tensor:
    """For each token of ``features`` (n, c) the index (n,) of the nearest of ``keyframe`` (m, c); unit vectors."""
    return (features @ keyframe.mT).argmax(1)


def neighbours(
    times: Sequence[float], keyframes: Sequence[int], frame: int
) -> tuple[tuple[int, float], tuple[int, float]]:
    """Positions within ``keyframes`` of the last one not after ``frame`` and the next, with weights that sum to 1.

    Before the first keyframe and after the last there is one neighbour: it stands twice, with weights 1 and 0.
    """
    place = bisect_right(keyframes, frame)
    if place == 0 or place == len(keyframes):
        only = min(place, len(keyframes) - 1)
        return (only, 1.0), (only, 0.0)
    past, following = place - 1, place
    before = abs(times[frame] - times[keyframes[past]])
    after = abs(times[keyframes[following]] - times[frame])
    weight = after / (before + after)
    return (past, weight), (following, 1.0 - weight)
