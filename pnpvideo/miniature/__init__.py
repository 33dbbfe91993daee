"""The model that ships: a small, complete Stable Diffusion, the procedural world it was trained on, and its recipe."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""The shipped checkpoint, a diffusers pipeline folder."""
