"""The recipes that a benchmark runs unless others are named: published ones, and ours.

TokenFlow as published inverts in 500 steps; here in 50, as many as it samples in (see measure.speed for both)."""

from typing import Any

PUBLISHED_PNP: dict[str, Any] = {
    "method": "pnp",
    "steps": 50,
    "solver": "ddim",
    "spacing": "checkpoint",
    "inversion_rounds": 0,
    "guidance": 7.5,
    "feature_until": 0.8,
    "attention_until": 0.5,
    "fresh_noise": 0.0,
    "inversion_depth": 1.0,
}
"""Plug-and-Play in the settings of PIE-Bench's table (arXiv 2310.01506, section 5)."""
STILL_RECIPES: dict[str, dict[str, Any]] = {
    "pnp, as published": {**PUBLISHED_PNP, "coherence": "none"},
    "pnp": {"method": "pnp", "coherence": "none"},
    "flowedit": {"method": "flowedit", "coherence": "none"},
}
CLIP_RECIPES: dict[str, dict[str, Any]] = {
    "pnp, each frame": {**PUBLISHED_PNP, "coherence": "none"},
    "tokenflow, 50 + 50": {**PUBLISHED_PNP, "coherence": "flow"},
    "pnp, flow": {"method": "pnp", "coherence": "flow"},
}
