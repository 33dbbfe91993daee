"""Measures, one a file, and the benchmark on the world's own clips, where ground truth is exact."""
