"""Coherence, an axis of its own: which frames go through the network together, and what they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from pnpvideo.edits.shared_attention import KeyframesOnly, SharedAttention, draw_keyframes
from pnpvideo.edits.token_flow import Correspondences, TokenFlow
from pnpvideo.injection import Edit, Kind, Site, select
from pnpvideo.injection.edit import AttentionEdit


@dataclass(frozen=True, kw_only=True)
class Coherence:
    """kind "none": every frame for itself. "joint": every frame also attends to the keyframes. "flow": keyframes
    attend to each other, the other frames gather the keyframes' tokens along the source's motion.

    One keyframe is drawn from each segment of ``every`` frames. batch: frames of one network call; it changes the last
    bits of a result.
    """

    kind: str
    every: int
    batch: int
    seed: int

    def keyframes(self, frames: int, place: tuple[int, int], step: int, anchors: int = 0) -> tuple[int, ...]:
        """The keyframes of this step, ascending; none without coherence.

        place: which shot, and which window of it. anchors: how many frames, the first ones, are always keyframes.
        """
        if self.kind == "none":
            return ()
        drawn = draw_keyframes(frames - anchors, self.every, self.seed, place, step)
        return (*range(anchors), *(anchors + frame for frame in drawn))

    def passes(self, frames: int, keyframes: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The frames of each network call of a step: the keyframes first, all at once, then the others in batches."""
        others = [frame for frame in range(frames) if frame not in keyframes]
        batches = [tuple(others[start : start + self.batch]) for start in range(0, len(others), self.batch)]
        return [keyframes, *batches] if keyframes else batches

    def edits(self, method: Sequence[Edit], sites: Sequence[Site], times: Sequence[float]) -> list[Edit]:
        """All edits of a run, outermost first: the ``method``'s, and what stands around and inside them.

        times: seconds of each frame. With "flow" only keyframes attend, so edits of self-attention are theirs alone.
        """
        if self.kind == "none":
            return [*method]
        everywhere = select(sites, Kind.SELF)
        sharing = SharedAttention(everywhere, everyone=self.kind == "joint")
        if self.kind == "joint":
            return [*method, sharing]
        correspondences = Correspondences(everywhere, times)
        attended: list[Edit] = [
            KeyframesOnly(cast(AttentionEdit, edit)) if all(site.kind is Kind.SELF for site in edit.sites) else edit
            for edit in method
        ]
        return [correspondences, TokenFlow(correspondences), *attended, sharing]
