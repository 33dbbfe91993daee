"""The training pictures: scenes of the world, each in some of its styles, rendered once and kept as uint8 shards.

Scene ``i`` of the set is ``random_scene(i)`` at a moment drawn from ``i``; held-out scenes start at ``HELD_OUT``. The
first scenes are drawn at full size; more of them, four times cheaper, at half size only, which is what most stages see.
A shard is written under a temporary name and renamed, so an interrupted run goes on with the next one.
"""

import multiprocessing
import os
from pathlib import Path
from random import Random

import numpy as np
import torch

from pnpvideo.miniature.world import STYLES, Instant, random_scene, render

HELD_OUT = 10_000_000
TUNING = 20_000_000
"""Scenes from here on choose settings; those from HELD_OUT on only report."""
SHARD = 100
BLOCK = 10
DRAWN = 3
"""Styles that each scene is drawn in; they are the same for a block of scenes, which a device renders as one batch."""
SIZE = 256


def moment(index: int) -> Instant:
    """The instant that training picture ``index`` shows."""
    return random_scene(index).at(Random(index + 1).random())


def styles_of(index: int) -> tuple[str, ...]:
    """The styles that training scene ``index`` is drawn in."""
    return tuple(Random(index // BLOCK).sample(list(STYLES), DRAWN))


def make_shards(folder: Path, count: int, device: str = "cpu", more: int = 0) -> None:
    """Render shards 0 ... ``count`` - 1, each (scenes, DRAWN, 3, size, size) uint8, unless there.

    ``more`` shards follow at half size. On a CPU each core renders shards of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [SIZE] * count + [SIZE // 2] * more
    tasks = [(shard_path(folder, shard, size), shard, device, size) for shard, size in enumerate(sizes)]
    missing = [task for task in tasks if not task[0].exists()]
    if torch.device(device).type != "cpu":
        for task in missing:
            make_shard(*task)
        return
    workers = min(os.cpu_count() or 1, len(missing))
    if workers:
        with multiprocessing.get_context("spawn").Pool(workers, torch.set_num_threads, (1,)) as pool:
            pool.starmap(make_shard, missing, chunksize=1)


def shard_path(folder: Path, shard: int, size: int) -> Path:
    """Where a shard of pictures of ``size`` lies."""
    return folder / f"{'pictures' if size == SIZE else 'halves'}-{shard:04d}.npy"


def make_shard(path: Path, shard: int, device: str, size: int) -> None:
    """Render one shard to ``path``."""
    chunk = 1 if torch.device(device).type == "cpu" else BLOCK
    pictures = np.empty((SHARD, DRAWN, 3, size, size), np.uint8)
    for row in range(0, SHARD, chunk):
        scenes = range(shard * SHARD + row, shard * SHARD + row + chunk)
        styles = styles_of(scenes[0])
        drawn = render([moment(scene) for scene in scenes], list(styles), size, device=device)
        stack = torch.stack([drawn[style] for style in styles], 1)
        pictures[row : row + chunk] = (stack * 255).round().to(torch.uint8).cpu().numpy()
    temporary = path.with_suffix(".part.npy")
    np.save(temporary, pictures)
    os.replace(temporary, path)


class Pictures:
    """The first ``count`` scenes of a folder's shards, and ``more`` that are there at half size alone.

    ``pictures[i]`` is (DRAWN, 3, size, size) uint8 for i < len(pictures); ``halves(i)`` for i < pictures.scenes. Where
    there are more, ``count`` is a multiple of SHARD.
    """

    def __init__(self, folder: Path, count: int, more: int = 0) -> None:
        if more and count % SHARD:
            raise ValueError(f"{count} scenes at full size are no whole shards of {SHARD}")
        whole = -(-count // SHARD)
        paths = [shard_path(folder, shard, SIZE) for shard in range(whole)]
        paths += [shard_path(folder, whole + shard, SIZE // 2) for shard in range(-(-more // SHARD))]
        self.count, self.scenes = count, count + more
        self.shards = [np.load(path, mmap_mode="r") for path in paths]
        self.halved: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.shards[index // SHARD][index % SHARD]))

    def picture(self, index: int, column: int) -> torch.Tensor:
        """Scene ``index`` in its ``column``-th style, (3, size, size) uint8."""
        return torch.from_numpy(np.array(self.shards[index // SHARD][index % SHARD, column]))

    def halves(self, index: int) -> torch.Tensor:
        """Scene ``index`` in all its styles at half the size, (DRAWN, 3, size / 2, size / 2) uint8."""
        number = index // SHARD
        if index >= self.count:
            return torch.from_numpy(np.array(self.shards[number][index % SHARD]))
        if number not in self.halved:  # kept: to halve a picture takes longer than to read it
            whole = torch.from_numpy(np.array(self.shards[number]))
            halves = [torch.nn.functional.avg_pool2d(each.float(), 2).round().to(torch.uint8) for each in whole]
            self.halved[number] = torch.stack(halves).numpy()
        return torch.from_numpy(self.halved[number][index % SHARD])

    def crop(self, index: int, style: int, top: int, left: int, side: int) -> torch.Tensor:
        """(3, side, side) uint8."""
        shard = self.shards[index // SHARD]
        return torch.from_numpy(np.array(shard[index % SHARD, style, :, top : top + side, left : left + side]))
