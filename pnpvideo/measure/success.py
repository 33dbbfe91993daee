"""Edit success: does a result show what was asked for?"""

from collections.abc import Sequence

import numpy as np

from pnpvideo.measure.judge import Judge
from pnpvideo.miniature.world import Instant, Scene
from pnpvideo.miniature.world.questions import ATTRIBUTES, QUESTIONS, answers


def edit_success(judge: Judge, frames: Sequence[np.ndarray], asked: str, source: str) -> dict[str, float]:
    """``success``: share of frames, in [0, 1], that match the prompt better than the source's caption.
    ``match``: mean cosine with the prompt, x 100.

    A picture of nothing wins every second time against the source's caption: read ``success`` beside ``match``.
    """
    cosines = judge.likeness(frames, [asked, source])
    return {
        "success": float((cosines[:, 0] > cosines[:, 1]).float().mean()),
        "match": 100 * float(cosines[:, 0].mean()),
    }


def attributes_found(judge: Judge, frames: Sequence[np.ndarray], scene: Scene | Instant, style: str) -> float:
    """Share, in [0, 1], of the world's questions that the judge answers of ``frames`` as ``scene`` in ``style`` has it.

    Style, shape, colour, ground and sky, zero-shot, each where it can be seen: what is asked for must all be there.
    """
    true = answers(scene, style)
    asked = [attribute for attribute in ATTRIBUTES if true[attribute]]
    right = [[given in true[name] for given in judge.answer(frames, QUESTIONS[name])] for name in asked]
    return float(np.mean(right))
