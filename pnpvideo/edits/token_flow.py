"""TokenFlow: propagate the keyframes' attention output to other frames along the source's motion (arXiv 2307.10373)."""

from bisect import bisect_right
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pnpvideo.injection import AttentionCall, Lanes, Moment, Site
from pnpvideo.injection.edit import Attend

BLOCK = 2**24
"""The most cosine similarities, of 4 bytes each, in memory at once during the search for nearest tokens."""


class Correspondences:
    """In the source's pass, find each token's nearest token in the keyframes before and after its frame.

    Nearest by cosine similarity of the self-attention's normalised input (section 4.2, eq. 4). The source's attention
    is only read, not changed, so correspondences do not depend on the result. times: of all frames, in seconds.
    """

    def __init__(self, sites: tuple[Site, ...], times: Sequence[float]) -> None:
        self.sites, self.times = sites, tuple(times)
        self._keyframes: dict[Site, Tensor] = {}
        self._found: dict[Site, dict[int, Tensor]] = {}  # of this step: site -> frame -> (2, n), see of()
        self._known: dict[int, dict[Site, dict[int, Tensor]]] = {}  # recorded by keep(): step -> the same

    def begin(self, moment: Moment) -> None:
        self._keyframes.clear()
        self._found = self._known.get(moment.step, {})

    def forget(self, moment: Moment | None = None) -> None:
        """Drop what ``keep`` has recorded for this step; None: for all steps."""
        if moment is None:
            self._known.clear()
        else:
            self._known.pop(moment.step, None)

    def keep(self, moment: Moment) -> None:
        """Record the correspondences found since ``begin`` as this step's, on the CPU; they are not searched again."""
        self._known[moment.step] = {
            site: dict(zip(found, _compact(torch.stack(list(found.values()))), strict=True))
            for site, found in self._found.items()
        }
        self._found = {}

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return not lanes.edited and self.needs_source(moment, lanes.frames)

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return len(self.times) > len(moment.keyframes) and moment.step not in self._known

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        site, lanes, keyframes = call.site, call.lanes, call.moment.keyframes
        if lanes.frames == keyframes:
            self._keyframes[site] = call.hidden
            return attend(call)
        found = self._found.setdefault(site, {})
        for row, frame in enumerate(lanes.frames):
            (past, _), (following, _) = neighbours(self.times, keyframes, frame)
            back = correspondence(call.hidden[row], self._keyframes[site][past])
            ahead = back if following == past else correspondence(call.hidden[row], self._keyframes[site][following])
            found[frame] = torch.stack((back, ahead))
        return attend(call)

    def of(self, site: Site, frames: Sequence[int], device: torch.device) -> Tensor:
        """Indices (f, 2, n): for each token of the frames, its nearest token in the past and in the next keyframe."""
        return torch.stack([self._found[site][frame] for frame in frames]).to(device).long()


def _compact(index: Tensor) -> Tensor:
    """Convert token indices (..., n) to the smallest integer type, then move them to the CPU."""
    return index.to(torch.int16 if index.shape[-1] <= 2**15 else torch.int32).cpu()


class TokenPropagation:
    """Store keyframes' attention output; other frames gather their tokens from it along the correspondences.

    Tokens of the past and the next keyframe are blended by distance in time (eq. 5). Deviation from the paper: the
    weights are linear, w_past = d_next / (d_past + d_next), so that a frame at a keyframe's time gets that keyframe's
    tokens; the paper's sigmoid of this ratio stays between 0.5 and 0.73.
    """

    def __init__(self, correspondences: Correspondences) -> None:
        self.sites, self.times = correspondences.sites, correspondences.times
        self._correspondences = correspondences
        self._outputs: dict[Site, dict[str, Tensor]] = {}
        self._around: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def begin(self, moment: Moment) -> None:
        self._outputs.clear()
        self._around.clear()

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return bool(lanes.edited) and len(self.times) > len(moment.keyframes)

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False  # Correspondences reads it

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        site, lanes, keyframes = call.site, call.lanes, call.moment.keyframes
        if lanes.frames == keyframes:
            output = attend(call)
            self._outputs[site] = lanes.split(output)
            return output
        places, weights = self._between(lanes.frames, keyframes, call.hidden.device)
        index = self._correspondences.of(site, lanes.frames, call.hidden.device)
        index = index + places * index.shape[2]  # into all keyframes' tokens as one sequence
        blended = {}
        for lane, output in self._outputs[site].items():
            tokens = output.flatten(0, 1)
            past, following = tokens[index[:, 0]], tokens[index[:, 1]]
            blended[lane] = torch.lerp(following.float(), past.float(), weights).to(past.dtype)
        return lanes.stack(blended)

    def _between(
        self, frames: tuple[int, ...], keyframes: tuple[int, ...], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Positions of each frame's two keyframes (f, 2, 1) and weights of the past one (f, 1, 1); cached per step."""
        if frames not in self._around:
            pairs = [neighbours(self.times, keyframes, frame) for frame in frames]
            places = torch.tensor([[past, following] for (past, _), (following, _) in pairs], device=device)
            weights = torch.tensor([weight for (_, weight), _ in pairs], device=device)
            self._around[frames] = places.unsqueeze(2), weights.reshape(-1, 1, 1)
        return self._around[frames]


def correspondence(features: Tensor, keyframe: Tensor) -> Tensor:
    """Indices (n,) of the tokens of ``keyframe`` (m, c) nearest by cosine to those of ``features`` (n, c).

    Compared in fp32 whatever the tokens are in: in half precision many cosines of a smooth picture's tokens are equal,
    and the first of the equals, which lies up and left of the nearest one, would be taken.
    """
    units = F.normalize(keyframe.float(), dim=1).mT
    rows = max(1, BLOCK // len(keyframe))
    return torch.cat([(F.normalize(block.float(), dim=1) @ units).argmax(1) for block in features.split(rows)])


def neighbours(
    times: Sequence[float], keyframes: Sequence[int], frame: int
) -> tuple[tuple[int, float], tuple[int, float]]:
    """(position in ``keyframes``, weight) of the last one not after ``frame`` and of the next one; weights sum to 1.

    Before the first keyframe and after the last there is one neighbour; it is returned twice, with weights 1 and 0.
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
