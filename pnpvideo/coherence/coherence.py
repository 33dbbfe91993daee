"""Coherence, the base class: the keyframes of a step, the frames of each network call, the edits that tie frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pnpvideo.kinds import Whole
from pnpvideo.option import Spec, check_options

if TYPE_CHECKING:  # options are read before torch is loaded
    from pnpvideo.injection import Edit, Site

KEYFRAME_EVERY = Spec(
    kind=Whole(1),
    section="coherence",
    metavar="FRAMES",
    help="At each step, one keyframe is chosen at random from every FRAMES frames.",
)


class Place(NamedTuple):
    """The position of a window, which its random keyframes depend on: the run's seed, and the indices of the shot and
    of the window in it."""

    seed: int
    shot: int = 0
    window: int = 0


FIRST = Place(0)


@dataclass(frozen=True, kw_only=True)
class Coherence:
    """Base of all coherences: every frame by itself. A coherence is a frozen dataclass whose fields are its options."""

    anchored: ClassVar[bool] = True
    """Whether windows of a long shot share anchors: drawings of earlier windows that are keyframes in later ones."""

    def __post_init__(self) -> None:
        check_options(self)

    def keyframes(self, frames: int, place: Place, step: int, anchors: int = 0) -> tuple[int, ...]:
        """Indices of this step's keyframes, ascending; the first ``anchors`` of the ``frames`` are always keyframes."""
        return ()

    def passes(self, frames: int, keyframes: tuple[int, ...], batch: int) -> list[tuple[int, ...]]:
        """Frame indices of each network call of a step: all keyframes first, in one call, then up to ``batch`` others
        per call."""
        others = [frame for frame in range(frames) if frame not in keyframes]
        batches = [tuple(others[start : start + batch]) for start in range(0, len(others), batch)]
        return [keyframes, *batches] if keyframes else batches

    def edits(self, method: Sequence[Edit], sites: Sequence[Site], times: Sequence[float]) -> list[Edit]:
        """All edits of a window, outermost first: those of the ``method``, and the coherence's around or inside them.

        sites: the network's. times: of each frame, anchors included, in seconds.
        """
        return [*method]

    def tokens_held(self, keyframes: int, together: int, lanes: int) -> int:
        """Peak size of what the edits store, as a multiple of all self-attentions' outputs for one latent.

        keyframes: their number. together: frames per network call. lanes: number of edited lanes.
        """
        return 2 * together  # the source's q and k, until the edited lanes' call


def drawn_keyframes(every: int, frames: int, place: Place, step: int, anchors: int) -> tuple[int, ...]:
    """The anchors, and one keyframe from each segment of ``every`` other frames, drawn anew at every step."""
    from pnpvideo.edits.shared_attention import draw_keyframes

    drawn = draw_keyframes(frames - anchors, every, place, step)
    return (*range(anchors), *(anchors + frame for frame in drawn))
