"""The model that ships: a whole Stable Diffusion, small, and the procedural world that it was trained on."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped checkpoint, a diffusers pipeline folder."""
