"""Figures of an edited clip: agreement with the prompt, consistency of its frames, warp error and motion."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from pnpvideo.measure.clip import mean_pair_cosine
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.temporal import MotionComparison


def clip_figures(
    judges: Judges,
    prompt: str,
    source: Sequence[np.ndarray],
    frames: Sequence[np.ndarray],
    mode: Mode,
    *,
    pairs: bool,
) -> dict[str, float]:
    """Both, as far as there are judges. pairs: see ``text_figures``."""
    found = motion_figures(source, frames)
    return found if judges.clip is None else {**found, **text_figures(judges.clip, frames, prompt, mode, pairs=pairs)}


def text_figures(
    judge: Judge, frames: Sequence[np.ndarray], prompt: str, mode: Mode, *, pairs: bool
) -> dict[str, float]:
    """``match``: 100 times the cosine of frame and prompt, mean over frames. ``consistency``: mean cosine of frames.

    pairs: of all pairs of frames (TGVE); else of neighbours (V2VBench), which compat clamps at 0. NaN for one frame.
    """
    vectors = judge.embed_pictures(frames)
    match = 100 * float((vectors @ judge.embed_texts([prompt]).T).mean())
    if len(frames) < 2:
        return {"match": match, "consistency": float("nan")}
    return {"match": match, "consistency": mean_pair_cosine(vectors) if pairs else _neighbours(vectors, mode)}


def motion_figures(source: Sequence[np.ndarray], frames: Sequence[np.ndarray]) -> dict[str, float]:
    """``warp``: warp error by the flow of the source, in [0, 1]^2 units. ``motion``: minus the mean end-point error, in
    pixels, between the flows of result and source. Flow is DIS in both modes. NaN for one frame."""
    comparison = MotionComparison()
    for theirs, ours in zip(source, frames, strict=True):
        comparison.add(theirs, ours)
    return {"warp": comparison.warp, "motion": comparison.motion}


def _neighbours(vectors: Tensor, mode: Mode) -> float:
    cosines = (vectors[1:] * vectors[:-1]).sum(1)
    return float((cosines.clamp(min=0) if mode is Mode.COMPAT else cosines).mean())
