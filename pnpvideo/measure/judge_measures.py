"""Measures that a judge makes: edit success, attributes found, and structure distance."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pnpvideo.measure.judge import Judge, Tower
from pnpvideo.miniature.world import Instant, Scene
from pnpvideo.miniature.world.questions import ATTRIBUTES, QUESTIONS, answers


def edit_success(judge: Judge, frames: Sequence[np.ndarray], prompt: str, source_prompt: str) -> dict[str, float]:
    """``success``: share of frames, in [0, 1], that match the prompt better than the source's caption.
    ``match``: mean cosine with the prompt, x 100.

    An empty picture matches the prompt better half of the time, so read ``success`` together with ``match``.
    """
    cosines = judge.cosines(frames, [prompt, source_prompt])
    return {
        "success": float((cosines[:, 0] > cosines[:, 1]).float().mean()),
        "match": 100 * float(cosines[:, 0].mean()),
    }


def attributes_found(judge: Judge, frames: Sequence[np.ndarray], scene: Scene | Instant, style: str) -> float:
    """Share, in [0, 1], of the attributes of ``scene`` in ``style`` that the judge finds in ``frames``, zero-shot.

    Attributes are style, shape, colour, ground and sky, where the style shows them.
    """
    true = answers(scene, style)
    shown = [attribute for attribute in ATTRIBUTES if true[attribute]]
    right = [[answer in true[name] for answer in judge.classify(frames, QUESTIONS[name])] for name in shown]
    return float(np.mean(right))


def structure_distance(tower: Tower, frames: Sequence[np.ndarray], source: Sequence[np.ndarray]) -> float:
    """Mean squared difference of the self-similarities of keys (Splice, arXiv 2201.00424, eq. 3), x 1000, >= 0.

    It measures how much the layout differs, whatever the colours.
    """
    distances = [
        float((self_similarity(tower.keys([ours])) - self_similarity(tower.keys([theirs]))).square().mean())
        for ours, theirs in zip(frames, source, strict=True)
    ]
    return 1000 * float(np.mean(distances))


def self_similarity(keys: Tensor) -> Tensor:
    """Cosine similarities of the tokens of each picture: (n, tokens, width) -> (n, tokens, tokens)."""
    unit = torch.nn.functional.normalize(keys, dim=-1)
    return unit @ unit.mT
