"""Runners of public benchmarks: read a set's own files, edit every row by every recipe, measure, print its table."""
