"""Token flow: other frames take their attention output from the keyframes, along the source (arXiv 2307.10373)."""

from bisect import bisect_right
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site
from pnpvideo.injection.edit import Attend

BLOCK = 2**24
"""Cosines that are held at once while neighbours are sought."""

Neighbours = tuple[Tensor, Tensor]
"""Of one frame: for each token (n,) the index of the nearest token of the past and of the next keyframe."""


class Correspondences:
    """Finds, in the source's pass, each token's nearest neighbours in the two keyframes around its frame.

    Nearest by cosine of the normalised input of the self-attention (section 4.2, eq. 4). Looks only: the source attends
    as ever, so that correspondences do not depend on the result. ``times`` are the frames' times in seconds.
    """

    def __init__(self, sites: tuple[Site, ...], times: Sequence[float]) -> None:
        self.sites, self.times = sites, tuple(times)
        self._keyframes: dict[Site, Tensor] = {}
        self._found: dict[Site, dict[int, Neighbours]] = {}
        self._known: dict[int, dict[Site, dict[int, Neighbours]]] = {}  # by step

    def begin(self, moment: Moment) -> None:
        self._keyframes.clear()
        self._found = self._known.get(moment.step, {})

    def forget(self, moment: Moment) -> None:
        self._known.pop(moment.step, None)

    def keep(self, moment: Moment) -> None:
        """What was found is this step's from now on, and is not sought again. On the CPU, as small as it goes."""
        self._known[moment.step] = {
            site: {frame: (_small(back), _small(ahead)) for frame, (back, ahead) in found.items()}
            for site, found in self._found.items()
        }
        self._found = {}

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return not lanes.edited and self.needs_source(moment)

    def needs_source(self, moment: Moment) -> bool:
        return len(self.times) > len(moment.keyframes) and moment.step not in self._known

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        site, lanes, keyframes = call.site, call.lanes, call.moment.keyframes
        features = F.normalize(call.hidden.float(), dim=2).to(call.hidden.dtype)
        if lanes.frames == keyframes:
            self._keyframes[site] = features
            return attend(call)
        found = self._found.setdefault(site, {})
        for row, frame in enumerate(lanes.frames):
            (past, _), (following, _) = neighbours(self.times, keyframes, frame)
            back = correspondence(features[row], self._keyframes[site][past])
            ahead = back if following == past else correspondence(features[row], self._keyframes[site][following])
            found[frame] = back, ahead
        return attend(call)

    def of(self, site: Site, frame: int, device: torch.device) -> Neighbours:
        back, ahead = self._found[site][frame]
        return back.to(device, torch.int64), ahead.to(device, torch.int64)


def _small(index: Tensor) -> Tensor:
    return index.to("cpu", torch.int16 if len(index) <= 2**15 else torch.int32)


class TokenFlow:
    """Keyframes' outputs are kept; every other frame gathers them along the source's correspondences.

    Past and next keyframe are blended by true distance in time (eq. 5; we weigh linearly, w = d_other / (d_past +
    d_next), so that a frame at a keyframe's place gets that keyframe: the paper's sigmoid of this ratio never leaves
    0.5 to 0.73).
    """

    def __init__(self, correspondences: Correspondences) -> None:
        self.sites, self.times = correspondences.sites, correspondences.times
        self._correspondences = correspondences
        self._outputs: dict[Site, dict[str, Tensor]] = {}

    def begin(self, moment: Moment) -> None:
        self._outputs.clear()

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return bool(lanes.edited) and len(self.times) > len(moment.keyframes)

    def needs_source(self, moment: Moment) -> bool:
        return False  # its correspondences do

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        site, lanes, keyframes = call.site, call.lanes, call.moment.keyframes
        if lanes.frames == keyframes:
            output = attend(call)
            self._outputs[site] = lanes.split(output)
            return output
        kept = self._outputs[site]
        blended: dict[str, list[Tensor]] = {lane: [] for lane in lanes.names}
        for frame in lanes.frames:
            (past, weight), (following, _) = neighbours(self.times, keyframes, frame)
            back, ahead = self._correspondences.of(site, frame, call.hidden.device)
            for lane in lanes.names:
                token = kept[lane][past][back]
                if following != past:
                    token = torch.lerp(kept[lane][following][ahead], token, weight)
                blended[lane].append(token)
        return lanes.stack({lane: torch.stack(tokens) for lane, tokens in blended.items()})


def correspondence(features: Tensor, keyframe: Tensor) -> Tensor:
    """For each token of ``features`` (n, c) the index (n,) of the nearest of ``keyframe`` (m, c); unit vectors."""
    rows = max(1, BLOCK // len(keyframe))
    return torch.cat([(block @ keyframe.mT).argmax(1) for block in features.split(rows)])


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
