"""Joint attention: every frame also attends to the keyframes (the extended attention of arXiv 2307.10373, 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pnpvideo.coherence.coherence import KEYFRAME_EVERY, Coherence, Place, drawn_keyframes
from pnpvideo.option import option

if TYPE_CHECKING:
    from pnpvideo.injection import Edit, Site


@dataclass(frozen=True, kw_only=True)
class JointAttention(Coherence):
    """Keyframes attend to each other, other frames to themselves and the keyframes."""

    keyframe_every: int = option(8, KEYFRAME_EVERY)

    def keyframes(self, frames: int, place: Place, step: int, anchors: int = 0) -> tuple[int, ...]:
        return drawn_keyframes(self.keyframe_every, frames, place, step, anchors)

    def edits(self, method: Sequence[Edit], sites: Sequence[Site], times: Sequence[float]) -> list[Edit]:
        from pnpvideo.edits.shared_attention import SharedAttention
        from pnpvideo.injection import Kind, select

        return [*method, SharedAttention(select(sites, Kind.SELF), everyone=True)]

    def tokens_held(self, keyframes: int, together: int, lanes: int) -> int:
        return 2 * together + 2 * lanes * keyframes  # source q and k; the keyframes' k and v
