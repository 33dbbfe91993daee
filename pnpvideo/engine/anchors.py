"""Anchors: drawings of a shot's earlier windows that are keyframes of its later ones.

The policy: a shot's first window leaves two anchors, its middle and its last drawing; every later window leaves its
last drawing. A window attends to the anchors of the shot's first window and of the window just before it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from pnpvideo.diffusion.trajectory import ConcatenatedTrajectory, RecordedTrajectory, Trajectory

AfterStep = Callable[[Tensor, int], Tensor]
T = TypeVar("T")
MOST = 3
"""The most anchors that a window can have: two of the first window, one of the latest."""


def remembered_drawings(first: bool, drawings: int) -> tuple[int, ...]:
    """Indices of the drawings, of ``drawings`` in a window, that later windows attend to.

    first: no earlier window of the shot has left anchors.
    """
    last = drawings - 1
    return (last // 2, last) if first and last > 0 else (last,)


def remembered_windows(before: Sequence[T], new: T) -> list[T]:
    """The windows whose drawings are anchors of the next one: the shot's first, and the latest."""
    return [*before[:1], new]


@dataclass(frozen=True)
class JoinedStates(Mapping[int, Tensor]):
    """The states of several windows' anchors, concatenated in order when a level is asked for."""

    parts: tuple[Mapping[int, Tensor], ...]

    def __getitem__(self, level: int) -> Tensor:
        return torch.cat([part[level] for part in self.parts])

    def __iter__(self) -> Iterator[int]:
        return iter(self.parts[0])

    def __len__(self) -> int:
        return len(self.parts[0])


@dataclass(frozen=True)
class Anchors:
    """Anchors of one window, taken from one or more earlier ones; empty for the first window of a shot.

    times: seconds, ascending. source: the source's trajectory of these a drawings. states: their translated latents,
    level -> (a, c, h', w'), fp32, on the CPU, for every level from which a step starts. run: the store keys of the
    sampling runs that produced them, joined by "-". conditions: of each control, what it follows in each drawing,
    (a, h, w, 3) uint8.
    """

    times: tuple[float, ...] = ()
    source: Trajectory = field(default_factory=lambda: RecordedTrajectory([]))
    states: Mapping[int, Tensor] = field(default_factory=dict)
    run: str = ""
    conditions: tuple[np.ndarray, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def joined(cls, parts: Sequence["Anchors"]) -> "Anchors":
        """Concatenate the anchors of several windows, in order; each level when it is asked for."""
        if not parts:
            return NO_ANCHORS
        return cls(
            tuple(time for part in parts for time in part.times),
            reduce(ConcatenatedTrajectory, (part.source for part in parts)),
            JoinedStates(tuple(part.states for part in parts)),
            "-".join(part.run for part in parts),
            tuple(np.concatenate(each) for each in zip(*(part.conditions for part in parts), strict=True)),
        )

    def before(self, own: Trajectory) -> Trajectory:
        """The source's trajectory of the anchors followed by ``own``, that of a window's drawings."""
        return ConcatenatedTrajectory(self.source, own) if self.times else own

    def with_conditions(self, own: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Of each control, the conditions of the anchors followed by ``own``, those of a window's drawings."""
        if not self.times:
            return own
        return tuple(np.concatenate(pair) for pair in zip(self.conditions, own, strict=True))

    def started(self, x: Tensor, level: int) -> Tensor:
        """The starting latents ``x`` of anchors and own drawings, the anchors' replaced by their translated ones."""
        return torch.cat((self.states[level], x[len(self) :])) if self.times else x

    def after_step(self, own: AfterStep | None) -> AfterStep | None:
        """A sampler's ``after_step`` that resets the anchors to their translated latents and applies ``own`` to the
        window's drawings."""
        if not self.times:
            return own

        def after_step(x: Tensor, level: int) -> Tensor:
            rest = x[len(self) :]
            anchors = self.states[level].to(x) if level in self.states else x[: len(self)]
            return torch.cat((anchors, rest if own is None else own(rest, level)))

        return after_step


NO_ANCHORS = Anchors()
"""The anchors of a shot's first window."""
