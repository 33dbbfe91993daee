"""Structure distance: how much the layout of a picture differs, whatever its colours (arXiv 2201.00424)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pnpvideo.measure.judge import Tower


def structure_distance(tower: Tower, frames: Sequence[np.ndarray], source: Sequence[np.ndarray]) -> float:
    """Mean squared difference of the self-similarities of keys (Splice, arXiv 2201.00424, eq. 3), x 1000, >= 0."""
    distances = [
        float((self_similarity(tower.keys([ours])) - self_similarity(tower.keys([theirs]))).square().mean())
        for ours, theirs in zip(frames, source, strict=True)
    ]
    return 1000 * float(np.mean(distances))


def self_similarity(keys: Tensor) -> Tensor:
    """Cosine similarities of each picture's tokens: (n, tokens, width) -> (n, tokens, tokens)."""
    unit = torch.nn.functional.normalize(keys, dim=-1)
    return unit @ unit.mT
