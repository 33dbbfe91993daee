"""The masks of PIE-Bench: run lengths over the picture, row by row."""

from typing import Any

import numpy as np

SIDE = 512
"""Pixels; every picture of PIE-Bench is of this width and height."""


def decode_runs(runs: Any, side: int = SIDE) -> np.ndarray:
    """[start, length, start, length, ...] -> (side, side) bool, True where edited. A run ends with the picture.

    Raises ValueError for anything else: an odd number of values, or one that is no whole number in range.
    """
    if not isinstance(runs, list):
        raise ValueError(f"the mask is {type(runs).__name__}; accepted is a list of starts and lengths")
    if len(runs) % 2:
        raise ValueError(f"the mask has {len(runs)} values; accepted are pairs of a start and a length")
    for index, value in enumerate(runs):
        is_start = index % 2 == 0
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < 0 or (is_start and value >= side * side):
            accepted = f"a start from 0 to {side * side - 1}" if is_start else "a length from 0 on"
            raise ValueError(f"value {index} of the mask is {repr(value)[:40]}; accepted is {accepted}")
    flat = np.zeros(side * side, bool)
    for start, length in zip(runs[::2], runs[1::2], strict=True):
        flat[start : start + length] = True
    mask: np.ndarray = flat.reshape(side, side)
    return mask


def with_border(mask: np.ndarray) -> np.ndarray:
    """The mask with its outermost rows and columns edited, as the benchmark has it against errors of annotation."""
    whole: np.ndarray = mask.copy()
    whole[[0, -1], :] = True
    whole[:, [0, -1]] = True
    return whole
