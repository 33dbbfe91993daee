"""FlowEdit (arXiv 2412.08629): edit without inversion, along the difference of two prompts' velocities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pnpvideo.kinds import Real
from pnpvideo.methods.method import STRENGTH, Method
from pnpvideo.option import Spec, option

if TYPE_CHECKING:
    from torch import Tensor

    from pnpvideo.diffusion.schedule import Schedule
    from pnpvideo.diffusion.trajectory import Trajectory


@dataclass(frozen=True, kw_only=True)
class FlowEdit(Method):
    """Move the clean source X along V(target) - V(source), both evaluated with the same fresh noise at each step.

    Algorithm 1 of the paper updates clean latents Z: Z <- Z + (t_to - t) (V_target(X_t + Z - X) - V_source(X_t)), where
    X_t is X with noise. The latents of a run here are x = X_t + Z - X. A step is a DDIM step of x, which is Euler's on
    V, then x <- X_to + x - (the same step of X_t). For flow-matching models that is the method as published; for others
    it is its probability-flow form, in z = x / (signal + noise) with V = eps - x0. All frames of a shot share a step's
    noise. The last step ends at t = 0, without noise, whatever level a checkpoint's scheduler ends at.
    """

    strength: float = option(0.6, STRENGTH)
    source_guidance: float = option(
        1.0,
        Spec(kind=Real(0.0, 100.0), section="look", help="flowedit: scale of guidance of the source prompt; 1: none."),
    )

    inverts: ClassVar[bool] = False
    first_order: ClassVar[bool] = True
    needs_caption: ClassVar[bool] = True

    @property
    def source_lanes(self) -> tuple[str, ...]:
        return ("source",) if self.source_guidance == 1.0 else ("source", "empty")

    def levels(self, schedule: Schedule) -> Schedule:
        return schedule.ending_clean()

    def trajectory(self, x0: Tensor, noise: Callable[[int], Tensor], schedule: Schedule) -> Trajectory:
        from pnpvideo.diffusion.trajectory import RenoisedTrajectory

        return RenoisedTrajectory(x0, lambda level: noise(level + 2), schedule)

    def start(self, trajectory: Trajectory, schedule: Schedule, noise: Tensor) -> tuple[Tensor, int]:
        level = max(1, int(self.strength * schedule.steps + 0.5))
        return trajectory.at(level), level

    def combine_source(self, outputs: Mapping[str, Tensor]) -> Tensor:
        if self.source_guidance == 1.0:
            return outputs["source"]
        return outputs["empty"] + self.source_guidance * (outputs["source"] - outputs["empty"])

    def after_step(self, x: Tensor, source: Tensor, stepped: Tensor) -> Tensor:
        return source + (x - stepped)
