"""Presets: how much a run spends where nothing else was asked; the same names for every model."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Names as in TranslateOptions; ddim_steps: steps where the solver is DDIM; few_steps:
    of a checkpoint that was distilled to few. See docs/speed.md for what each costs,
    and what it gives up."""

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
