"""What the engine works on at once: a window, a shot or a part of a long one, and what it takes from those before."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.trajectory import ConcatenatedTrajectory, RecordedTrajectory, Trajectory
from pnpvideo.errors import NotFiniteError
from pnpvideo.events import Progress
from pnpvideo.words.script import Script

AfterStep = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class Anchors:
    """Drawings of windows before this one, which its own attend to as keyframes, at every step.

    times: seconds, ascending. source: their trajectory. states: what became of them, level -> (a, c, h', w'), fp32, on
    the CPU, of every level that a step starts from. run: names the runs that made them.
    """

    times: tuple[float, ...]
    source: Trajectory
    states: Mapping[int, Tensor]
    run: str

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def joined(cls, parts: Sequence["Anchors"], levels: int) -> "Anchors":
        """Of several windows, in their order; ``levels``: of the schedule, the clean one included."""
        return cls(
            tuple(time for part in parts for time in part.times),
            RecordedTrajectory([torch.cat([part.source.at(level) for part in parts]) for level in range(levels)]),
            {level: torch.cat([part.states[level] for part in parts]) for level in parts[0].states},
            "-".join(part.run for part in parts),
        )

    def before(self, own: Trajectory) -> Trajectory:
        """The trajectory of the anchors, then of a window's own drawings."""
        return ConcatenatedTrajectory(self.source, own)

    def settled(self, own: AfterStep | None) -> AfterStep:
        """An ``after_step`` for sample() that keeps the anchors as they were, and does ``own`` with the rest."""

        def after_step(x: Tensor, level: int) -> Tensor:
            rest = x[len(self) :]
            here = self.states[level].to(x) if level in self.states else x[: len(self)]
            return torch.cat((here, rest if own is None else own(rest, level)))

        return after_step


@dataclass(frozen=True)
class Window:
    """shot, part: which shot, and which of its windows, from 0. pixels: the drawings (f, h, w, 3) uint8 at the working
    size. times: of the drawings, in seconds. script: what the lanes are told. noise: (1, c, h', w'), the shot's.
    anchors: None for the first window of a shot."""

    shot: int
    part: int
    pixels: np.ndarray
    times: tuple[float, ...]
    script: Script
    guidance: Guidance
    noise: Tensor
    anchors: Anchors | None = None

    @contextmanager
    def located(self, stage: str, step: int, steps: int) -> Iterator[None]:
        """Add the stage, the step (from 1) and the shot to the message of a NotFiniteError in the block."""
        try:
            yield
        except NotFiniteError as failed:
            where = f"{stage}, step {step} of {steps}, shot {self.shot}"
            raise NotFiniteError(f"{where}: {failed}") from failed

    def progress(self, stage: str, done: int, total: int, unit: str) -> Progress:
        """That ``done`` of ``total`` units of a stage are finished here."""
        frames = len(self.times)
        return Progress(stage=stage, done=done, total=total, unit=unit, shot=self.shot, window=self.part, frames=frames)

    def to_remember(self) -> tuple[int, ...]:
        """The drawings that later windows attend to: the last; of a shot's first window, also the one in the middle."""
        last = len(self.times) - 1
        return (last,) if self.part > 0 or last == 0 else (last // 2, last)
