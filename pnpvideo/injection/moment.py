"""The step of a sampling run, and ranges of steps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """One step of a run: ``step`` counts from 0 (the noisiest) to ``steps`` - 1.

    timestep: the network's time input. keyframes: indices of this step's keyframes in the window, ascending.
    """

    step: int
    steps: int
    timestep: float
    keyframes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Until:
    """The first ``share`` (0 to 1) of the steps: ``moment in Until(0.8)`` is true for the first 40 of 50 steps."""

    share: float

    def __contains__(self, moment: Moment) -> bool:
        return moment.step < self.steps(moment.steps)

    def steps(self, steps: int) -> int:
        """How many of the first steps of a run of ``steps`` are meant."""
        return int(self.share * steps + 0.5)
