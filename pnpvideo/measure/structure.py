"""Structure: is the layout of a picture kept, whatever its colours?"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pnpvideo.measure.judge import Tower


def structure_distance(tower: Tower, frames: Sequence[np.ndarray], source: Sequence[np.ndarray]) -> float:
    """Mean squared difference of the self-similarities of keys (Splice, arXiv 2201.00424, eq. 3), x 1000, >= 0."""
    ours, theirs = self_similarity(tower.keys(frames)), self_similarity(tower.keys(source))
    return float((ours - theirs).square().mean()) * 1000


def self_similarity(keys: Tensor) -> Tensor:
    """Cosines of each picture's tokens with each other: (n, tokens, width) -> (n, tokens, tokens)."""
    unit = torch.nn.functional.normalize(keys, dim=-1)
    return unit @ unit.mT
