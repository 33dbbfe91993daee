"""The training pictures: scenes of the world in every style, rendered once and kept on disk as uint8 shards.

Scene ``i`` of the set is ``random_scene(i)`` at a moment drawn from ``i``; held-out scenes start at ``HELD_OUT``.
A shard is written under a temporary name and renamed, so an interrupted run goes on with the next one.
"""

import os
from pathlib import Path
from random import Random

import numpy as np
import torch

from pnpvideo.miniature.world import STYLES, Instant, random_scene, render

HELD_OUT = 10_000_000
SHARD = 100
SIZE = 256


def moment(index: int) -> Instant:
    """The instant that training picture ``index`` shows."""
    return random_scene(index).at(Random(index + 1).random())


def make_shards(folder: Path, first: int, count: int) -> None:
    """Render shards ``first`` ... ``first + count - 1``, each (scenes, styles, 3, size, size) uint8, unless there."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(first, first + count):
        path = folder / f"pictures-{shard:04d}.npy"
        if path.exists():
            continue
        pictures = np.empty((SHARD, len(STYLES), 3, SIZE, SIZE), np.uint8)
        for row in range(SHARD):
            drawn = render([moment(shard * SHARD + row)], list(STYLES), SIZE)
            stack = torch.stack([drawn[style][0] for style in STYLES])
            pictures[row] = (stack * 255).round().to(torch.uint8).numpy()
        temporary = path.with_suffix(".part.npy")
        np.save(temporary, pictures)
        os.replace(temporary, path)


class Pictures:
    """The first ``count`` scenes of a folder's shards: ``pictures[i]`` is (styles, 3, size, size) uint8."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        paths = sorted(path for path in folder.glob("pictures-????.npy"))
        self.first = [int(path.stem[-4:]) * SHARD for path in paths]
        self.shards = [np.load(path, mmap_mode="r") for path in paths]

    def __len__(self) -> int:
        return min(self.count, SHARD * len(self.shards))

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.shards[index // SHARD][index % SHARD]))

    def scene(self, index: int) -> int:
        """The scene number of picture ``index``."""
        return self.first[index // SHARD] + index % SHARD

    def crop(self, index: int, style: int, top: int, left: int, side: int) -> torch.Tensor:
        """(3, side, side) uint8."""
        shard = self.shards[index // SHARD]
        return torch.from_numpy(np.array(shard[index % SHARD, style, :, top : top + side, left : left + side]))
