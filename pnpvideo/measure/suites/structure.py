"""Structure distance between two pictures by the keys of a ViT, in both modes."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pnpvideo.measure.judge import Tower
from pnpvideo.measure.judge_measures import self_similarity, structure_distance
from pnpvideo.measure.suites.mode import Mode

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels in [0, 1], channel by channel."""


@dataclass(frozen=True)
class TensorInput:
    """How a paper's code feeds pictures to the ViT: resized as tensors, bilinear and without antialiasing.

    levels: what white is before it is normalised; 255 is a fault of the code, 1 is right.
    """

    levels: float = 1.0

    def __call__(self, picture: np.ndarray, side: tuple[int, int]) -> Tensor:
        """(h, w, 3) uint8 -> (1, 3, height, width)."""
        pixels = torch.tensor(picture).permute(2, 0, 1)[None].float() / 255 * self.levels
        resized = nn.functional.interpolate(pixels, side, mode="bilinear", align_corners=False)
        mean, deviation = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        return (resized - mean) / deviation


def structure_between(
    tower: Tower, source: np.ndarray, result: np.ndarray, mode: Mode, compat: TensorInput
) -> dict[str, float]:
    """``structure``: mean squared difference of the self-similarities of keys (Splice, arXiv 2201.00424), x 1000.

    compat: the input that the paper's code makes. strict: the input that the ViT was trained on, by its own processor.
    """
    if mode is Mode.STRICT:
        return {"structure": structure_distance(tower, [result], [source])}
    maps = [self_similarity(tower.keys_of(compat(each, tower.preprocess.side))) for each in (result, source)]
    return {"structure": 1000 * float((maps[0] - maps[1]).square().mean())}
