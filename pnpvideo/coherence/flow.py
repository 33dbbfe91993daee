"""TokenFlow (arXiv 2307.10373)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pnpvideo.coherence.coherence import KEYFRAME_EVERY, Coherence, Place, drawn_keyframes
from pnpvideo.option import option

if TYPE_CHECKING:
    from pnpvideo.injection import AttentionEdit, Edit, Site


@dataclass(frozen=True, kw_only=True)
class TokenFlow(Coherence):
    """Keyframes attend to each other; the other frames gather the keyframes' tokens along the source's motion."""

    keyframe_every: int = option(8, KEYFRAME_EVERY)

    def keyframes(self, frames: int, place: Place, step: int, anchors: int = 0) -> tuple[int, ...]:
        return drawn_keyframes(self.keyframe_every, frames, place, step, anchors)

    def edits(self, method: Sequence[Edit], sites: Sequence[Site], times: Sequence[float]) -> list[Edit]:
        """Only keyframes attend, so the method's edits of self-attention are restricted to them."""
        from pnpvideo.edits.shared_attention import KeyframesOnly, SharedAttention
        from pnpvideo.edits.token_flow import Correspondences, TokenPropagation
        from pnpvideo.injection import Kind, select

        everywhere = select(sites, Kind.SELF)
        correspondences = Correspondences(everywhere, times)
        attended: list[Edit] = [
            KeyframesOnly(cast("AttentionEdit", edit)) if all(site.kind is Kind.SELF for site in edit.sites) else edit
            for edit in method
        ]
        shared = SharedAttention(everywhere, everyone=False)
        return [correspondences, TokenPropagation(correspondences), *attended, shared]

    def tokens_held(self, keyframes: int, together: int, lanes: int) -> int:
        return 2 * keyframes + (lanes + 1) * keyframes  # source q and k; the keyframes' outputs and source features
