"""Presets: steps, solver and spacing where neither the user nor the checkpoint sets them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Values of options in Sampling. docs/speed.md has the cost and quality of each preset.

    steps: with the solvers "2m" and "rf". ddim_steps: with "ddim". few_steps: of a checkpoint distilled to sample in
    few steps, with any solver.
    """

    steps: int
    ddim_steps: int
    few_steps: int
    solver: str = "2m"
    spacing: str = "karras"


PRESETS = {
    "best": Preset(steps=20, ddim_steps=50, few_steps=8),
    "balanced": Preset(steps=12, ddim_steps=30, few_steps=4),
    "draft": Preset(steps=8, ddim_steps=15, few_steps=2),
}
USUAL = "balanced"
