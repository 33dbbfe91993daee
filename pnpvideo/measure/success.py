"""Edit success: does a result show what was asked for?"""

from collections.abc import Sequence

import numpy as np

from pnpvideo.measure.judge import Judge


def edit_success(judge: Judge, frames: Sequence[np.ndarray], asked: str, source: str) -> dict[str, float]:
    """``success``: share of frames, in [0, 1], that match the prompt better than the source's caption.
    ``match``: mean cosine with the prompt, x 100. ``gain``: the mean of its cosine less the caption's, x 100."""
    cosines = judge.likeness(frames, [asked, source])
    return {
        "success": float((cosines[:, 0] > cosines[:, 1]).float().mean()),
        "match": 100 * float(cosines[:, 0].mean()),
        "gain": 100 * float((cosines[:, 0] - cosines[:, 1]).mean()),
    }
