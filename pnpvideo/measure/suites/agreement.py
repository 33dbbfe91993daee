"""Agreement of pictures with a prompt by CLIP, of the whole picture and of its edited region, in both modes."""

import numpy as np

from pnpvideo.measure.judge import Judge
from pnpvideo.measure.suites.mode import Mode


def agreement(
    judge: Judge, picture: np.ndarray, prompt: str, mode: Mode, region: np.ndarray | None = None
) -> dict[str, float]:
    """``match``: 100 times the cosine of picture and prompt; with a ``region`` (h, w) bool also ``edited``, of it.

    compat clamps both at 0, and shows the region on black, at its place and size. strict shows the rectangle around the
    region and nothing else. ``edited`` is NaN where the region is empty. Text beyond CLIP's 77 tokens is cut off.
    """
    pictures = [picture]
    shown = None if region is None or not region.any() else _shown(picture, region, mode)
    if shown is not None:
        pictures.append(shown)
    scores = [100 * float(judge.cosines([each], [prompt])[0, 0]) for each in pictures]
    if mode is Mode.COMPAT:
        scores = [max(score, 0.0) for score in scores]
    if region is None:
        return {"match": scores[0]}
    return {"match": scores[0], "edited": scores[1] if shown is not None else float("nan")}


def _shown(picture: np.ndarray, region: np.ndarray, mode: Mode) -> np.ndarray:
    if mode is Mode.COMPAT:
        return picture * region[..., None].astype(np.uint8)
    rows, columns = (np.flatnonzero(region.any(axis)) for axis in (1, 0))
    return np.ascontiguousarray(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
