"""Anchors: drawings of a shot's earlier windows that are keyframes of its later ones.

The policy stands here alone: of a shot's first window two drawings are remembered, the middle and the last one; of
every later window the last one; and a window's anchors are those of the first window and of the one before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from pnpvideo.diffusion.trajectory import ConcatenatedTrajectory, RecordedTrajectory, Trajectory

AfterStep = Callable[[Tensor, int], Tensor]
T = TypeVar("T")
MOST = 3
"""Anchors that a window can have."""


def remembered_drawings(first: bool, drawings: int) -> tuple[int, ...]:
    """Which of a window's drawings later windows attend to. first: no window of the shot has been remembered yet."""
    last = drawings - 1
    return (last // 2, last) if first and last > 0 else (last,)


def remembered_windows(before: Sequence[T], new: T) -> list[T]:
    """The windows whose drawings are anchors of the next one: the shot's first, and the latest."""
    return [*before[:1], new]


@dataclass(frozen=True)
class Anchors:
    """Anchors of one window, taken from one or more earlier ones; empty for the first window of a shot.

    times: seconds, ascending. source: their trajectory. states: their latents as translated, level -> (a, c, h', w'),
    fp32, on the CPU, of every level that a step starts from. run: the keys of the runs that made them.
    """

    times: tuple[float, ...] = ()
    source: Trajectory = field(default_factory=lambda: RecordedTrajectory([]))
    states: Mapping[int, Tensor] = field(default_factory=dict)
    run: str = ""

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def joined(cls, parts: Sequence["Anchors"], levels: int) -> "Anchors":
        """Those of several windows, in their order; ``levels``: of the schedule, the clean one included."""
        if not parts:
            return NO_ANCHORS
        return cls(
            tuple(time for part in parts for time in part.times),
            RecordedTrajectory([torch.cat([part.source.at(level) for part in parts]) for level in range(levels)]),
            {level: torch.cat([part.states[level] for part in parts]) for level in parts[0].states},
            "-".join(part.run for part in parts),
        )

    def before(self, own: Trajectory) -> Trajectory:
        """The trajectory of the anchors, then of a window's own drawings."""
        return ConcatenatedTrajectory(self.source, own) if self.times else own

    def started(self, x: Tensor, level: int) -> Tensor:
        """The latents ``x`` of anchors and own drawings, with the anchors as they were translated."""
        return torch.cat((self.states[level], x[len(self) :])) if self.times else x

    def after_step(self, own: AfterStep | None) -> AfterStep | None:
        """A sampler's ``after_step`` that keeps the anchors as they were, and does ``own`` with the other drawings."""
        if not self.times:
            return own

        def after_step(x: Tensor, level: int) -> Tensor:
            rest = x[len(self) :]
            anchors = self.states[level].to(x) if level in self.states else x[: len(self)]
            return torch.cat((anchors, rest if own is None else own(rest, level)))

        return after_step


NO_ANCHORS = Anchors()
"""Of the first window of a shot."""
