"""Presets: how much a run spends where nothing else was asked; the same names for every model."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Names as in TranslateOptions. See docs/speed.md for what each costs, and what it gives up."""

    steps: int
    solver: str
    spacing: str


PRESETS = {
    "best": Preset(steps=40, solver="2m", spacing="karras"),
    "balanced": Preset(steps=20, solver="2m", spacing="karras"),
    "draft": Preset(steps=10, solver="2m", spacing="karras"),
}
USUAL = "balanced"
