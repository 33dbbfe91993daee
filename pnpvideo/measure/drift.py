"""Drift: how much the last frame differs from the first one, once the source's motion is undone."""

from collections.abc import Sequence

import numpy as np

from pnpvideo.measure.motion import Motion
from pnpvideo.measure.warp import difference


def drift(frames: Sequence[np.ndarray], whole_way: Motion) -> float:
    """Mean squared difference, in [0, 1]^2 units, of the first frame and the last one warped back over the whole way.

    whole_way: the source's motion from the first frame to the last. NaN if the two share no pixel.
    """
    return difference(frames[0], frames[-1], whole_way) if whole_way.visible.any() else float("nan")
