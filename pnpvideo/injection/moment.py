"""When: the step of the run, and windows of steps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """Step ``step`` of ``steps`` (0 is the noisiest), its training timestep, and the keyframes drawn for it."""

    step: int
    steps: int
    timestep: int
    keyframes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Until:
    """The window of the first ``share`` in [0, 1] of the steps: of 50, the first 40 for a share of 0.8."""

    share: float

    def __contains__(self, moment: Moment) -> bool:
        return moment.step < int(self.share * moment.steps + 0.5)
