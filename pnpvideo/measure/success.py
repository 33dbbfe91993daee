"""Edit success: whether a result shows what the prompt asks for, as the judge sees it."""

from collections.abc import Sequence

import numpy as np

from pnpvideo.measure.judge import Judge
from pnpvideo.miniature.world import Instant, Scene
from pnpvideo.miniature.world.questions import ATTRIBUTES, QUESTIONS, answers


def edit_success(judge: Judge, frames: Sequence[np.ndarray], asked: str, source: str) -> dict[str, float]:
    """``success``: share of frames, in [0, 1], that match the prompt better than the source's caption.
    ``match``: mean cosine with the prompt, x 100.

    An empty picture is closer to the prompt than to the source's caption half of the time, so read ``success`` together
    with ``match``.
    """
    cosines = judge.likeness(frames, [asked, source])
    return {
        "success": float((cosines[:, 0] > cosines[:, 1]).float().mean()),
        "match": 100 * float(cosines[:, 0].mean()),
    }


def attributes_found(judge: Judge, frames: Sequence[np.ndarray], scene: Scene | Instant, style: str) -> float:
    """Share, in [0, 1], of the scene's attributes that the judge finds in ``frames``, zero-shot.

    Attributes are style, shape, colour, ground and sky, each only where the scene shows it.
    """
    true = answers(scene, style)
    asked = [attribute for attribute in ATTRIBUTES if true[attribute]]
    right = [[given in true[name] for given in judge.answer(frames, QUESTIONS[name])] for name in asked]
    return float(np.mean(right))
