"""Options of a run, presets, checkpoints' recommendations, and how these are resolved to values."""
