"""Measures of quality, and benchmarks on clips of the procedural world with exact ground truth."""
