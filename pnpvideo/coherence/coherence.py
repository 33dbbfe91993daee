"""What a coherence is: the keyframes of a step, the frames of each network call, and the edits that tie frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pnpvideo.option import Spec, Whole, check_options

if TYPE_CHECKING:  # options are read before torch is loaded
    from pnpvideo.injection import Edit, Site

KEYFRAME_EVERY = Spec(
    kind=Whole(1), section="coherence", metavar="FRAMES", help="Frames a keyframe stands for; one is drawn from each."
)


class Place(NamedTuple):
    """What a window's random keyframes depend on besides the step: the run's seed, the shot, the window of it."""

    seed: int
    shot: int = 0
    window: int = 0


FIRST = Place(0)


@dataclass(frozen=True, kw_only=True)
class Coherence:
    """Base of all coherences: every frame by itself. A coherence is a frozen dataclass whose fields are its options."""

    anchored: ClassVar[bool] = True
    """Whether the windows of a long shot share anchors: frames of earlier windows that are keyframes of later ones."""

    def __post_init__(self) -> None:
        check_options(self)

    def keyframes(self, frames: int, place: Place, step: int, anchors: int = 0) -> tuple[int, ...]:
        """The keyframes of this step, ascending. The first ``anchors`` of the ``frames`` always are keyframes."""
        return ()

    def passes(self, frames: int, keyframes: tuple[int, ...], batch: int) -> list[tuple[int, ...]]:
        """The frames of each network call of a step: the keyframes first, all at once, then ``batch`` others a call."""
        others = [frame for frame in range(frames) if frame not in keyframes]
        batches = [tuple(others[start : start + batch]) for start in range(0, len(others), batch)]
        return [keyframes, *batches] if keyframes else batches

    def edits(self, method: Sequence[Edit], sites: Sequence[Site], times: Sequence[float]) -> list[Edit]:
        """All edits of a run, outermost first: those of the ``method``, and what stands around and inside them.

        times: of each frame, in seconds.
        """
        return [*method]

    def tokens_held(self, keyframes: int, together: int, lanes: int) -> int:
        """The tensors of all self-attentions' outputs that the edits hold at once, counted in latents.

        together: frames a network call. lanes: edited lanes.
        """
        return 2 * together  # the source's q and k, until the edited lanes have passed


def drawn_keyframes(every: int, frames: int, place: Place, step: int, anchors: int) -> tuple[int, ...]:
    """The anchors, and one keyframe of each segment of ``every`` other frames, drawn anew at every step."""
    from pnpvideo.edits.shared_attention import draw_keyframes

    drawn = draw_keyframes(frames - anchors, every, place, step)
    return (*range(anchors), *(anchors + frame for frame in drawn))
