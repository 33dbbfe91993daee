"""Measures, one a file, and benchmarks on clips of the procedural world, whose ground truth is exact."""
