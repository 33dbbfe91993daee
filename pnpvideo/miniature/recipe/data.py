"""The training pictures: scenes of both worlds, each in three of its looks, rendered once and kept as uint8 shards.

Scene ``i`` of the procedural world is ``random_scene(i)`` at a moment drawn from ``i``; scene ``i`` of the world of art
is ``random_art(i)`` likewise, from the names that are not held out. Scenes from ``HELD_OUT`` on are never trained on.
The first scenes of the procedural world are drawn at full size; more of them, four times cheaper, at half size only. A
shard is written under a temporary name and renamed, so an interrupted run goes on with the next one.
"""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch

from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.drawing import drawn
from pnpvideo.miniature.art.names import trained_names
from pnpvideo.miniature.art.scene import ArtInstant, random_art
from pnpvideo.miniature.art.sprites import LOOKS, Sprites
from pnpvideo.miniature.world import STYLES, Instant, caption, random_scene, render

HELD_OUT = 10_000_000
TUNING = 20_000_000
"""Scenes from here on choose settings; those from HELD_OUT on only report."""
SHARD = 100
BLOCK = 10
DRAWN = 3
"""Looks that each scene is drawn in; of the procedural world's six they are the same for a block of scenes, which a
device renders as one batch."""
SIZE = 256


class Shard(NamedTuple):
    """One file of pictures to make: its number, and the side of its pictures in pixels."""

    path: Path
    number: int
    size: int


def moment(index: int) -> Instant:
    """The instant that training picture ``index`` shows."""
    return random_scene(index).at(Random(index + 1).random())


def styles_of(index: int) -> tuple[str, ...]:
    """The styles that training scene ``index`` is drawn in."""
    return tuple(Random(index // BLOCK).sample(list(STYLES), DRAWN))


def art_moment(index: int) -> ArtInstant:
    """What training scene ``index`` of the world of art shows."""
    return random_art(index, trained_names()).at(Random(index + 1).random())


def make_shards(folder: Path, count: int, device: str = "cpu", more: int = 0) -> None:
    """Render shards 0 ... ``count`` - 1, each (scenes, DRAWN, 3, size, size) uint8, unless there.

    ``more`` shards follow at half size. On a CPU each core renders shards of its own.
    """
    sizes = [SIZE] * count + [SIZE // 2] * more
    shards = [Shard(shard_path(folder, number, size), number, size) for number, size in enumerate(sizes)]
    missing = _missing(folder, shards)
    if torch.device(device).type == "cpu":
        _on_each_core(make_shard, [(shard, device) for shard in missing])
    else:
        for shard in missing:
            make_shard(shard, device)


def make_art_shards(folder: Path, count: int, packages: Path) -> None:
    """Render shards 0 ... ``count`` - 1 of the world of art, each (scenes, looks, 3, SIZE, SIZE) uint8, unless there.

    ``packages``: where the packages of drawings are, or are fetched to.
    """
    shards = [Shard(art_path(folder, number), number, SIZE) for number in range(count)]
    _on_each_core(make_art_shard, [(shard, packages) for shard in _missing(folder, shards)])


def shard_path(folder: Path, number: int, size: int) -> Path:
    """Where a shard of the procedural world's pictures of ``size`` lies."""
    return folder / f"{'pictures' if size == SIZE else 'halves'}-{number:04d}.npy"


def art_path(folder: Path, number: int) -> Path:
    """Where a shard of pictures of the world of art lies."""
    return folder / f"art-{number:04d}.npy"


def make_shard(shard: Shard, device: str) -> None:
    """Render one shard of the procedural world."""
    chunk = 1 if torch.device(device).type == "cpu" else BLOCK
    pictures = np.empty((SHARD, DRAWN, 3, shard.size, shard.size), np.uint8)
    for row in range(0, SHARD, chunk):
        scenes = range(shard.number * SHARD + row, shard.number * SHARD + row + chunk)
        styles = styles_of(scenes[0])
        rendered = render([moment(scene) for scene in scenes], list(styles), shard.size, device=device)
        stack = torch.stack([rendered[style] for style in styles], 1)
        pictures[row : row + chunk] = (stack * 255).round().to(torch.uint8).cpu().numpy()
    _save(shard.path, pictures)


def make_art_shard(shard: Shard, packages: Path) -> None:
    """Draw one shard of the world of art."""
    sprites = Sprites(packages)
    pictures = np.empty((SHARD, len(LOOKS), 3, shard.size, shard.size), np.uint8)
    for row in range(SHARD):
        scene = art_moment(shard.number * SHARD + row)
        for column, look in enumerate(LOOKS):
            pictures[row, column] = drawn(scene, look, sprites, shard.size).transpose(2, 0, 1)
    _save(shard.path, pictures)


class Pictures:
    """The first ``count`` scenes of a folder's shards, and ``more`` that are there at half size alone.

    ``pictures[i]`` is (DRAWN, 3, size, size) uint8 for i < len(pictures); ``halves(i)`` for i < pictures.scenes. Where
    there are more, ``count`` is a multiple of SHARD.
    """

    def __init__(self, folder: Path, count: int, more: int = 0) -> None:
        if more and count % SHARD:
            raise ValueError(f"{count} scenes at full size are no whole shards of {SHARD}")
        whole = -(-count // SHARD)
        paths = [self.path(folder, number) for number in range(whole)]
        paths += [shard_path(folder, whole + number, SIZE // 2) for number in range(-(-more // SHARD))]
        self.count, self.scenes = count, count + more
        self.shards = [np.load(path, mmap_mode="r") for path in paths]
        self.halved: dict[int, np.ndarray] = {}

    @staticmethod
    def path(folder: Path, number: int) -> Path:
        """Where shard ``number`` at full size lies."""
        return shard_path(folder, number, SIZE)

    @staticmethod
    def caption(index: int, column: int, rng: Random | None = None) -> str:
        """What scene ``index`` in its ``column``-th look shows; without ``rng`` the plain form."""
        return caption(moment(index), styles_of(index)[column], rng)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.shards[index // SHARD][index % SHARD]))

    def picture(self, index: int, column: int) -> torch.Tensor:
        """Scene ``index`` in its ``column``-th look, (3, size, size) uint8."""
        return torch.from_numpy(np.array(self.shards[index // SHARD][index % SHARD, column]))

    def halves(self, index: int) -> torch.Tensor:
        """Scene ``index`` in all its looks at half the size, (DRAWN, 3, size / 2, size / 2) uint8."""
        number = index // SHARD
        if index >= self.count:
            return torch.from_numpy(np.array(self.shards[number][index % SHARD]))
        if number not in self.halved:  # kept: to halve a picture takes longer than to read it
            whole = torch.from_numpy(np.array(self.shards[number]))
            halves = [torch.nn.functional.avg_pool2d(each.float(), 2).round().to(torch.uint8) for each in whole]
            self.halved[number] = torch.stack(halves).numpy()
        return torch.from_numpy(self.halved[number][index % SHARD])

    def crop(self, index: int, column: int, top: int, left: int, side: int) -> torch.Tensor:
        """(3, side, side) uint8."""
        shard = self.shards[index // SHARD]
        return torch.from_numpy(np.array(shard[index % SHARD, column, :, top : top + side, left : left + side]))


class ArtPictures(Pictures):
    """Scenes of the world of art."""

    @staticmethod
    def path(folder: Path, number: int) -> Path:
        return art_path(folder, number)

    @staticmethod
    def caption(index: int, column: int, rng: Random | None = None) -> str:
        return art_caption(art_moment(index), LOOKS[column], rng)


def _missing(folder: Path, shards: list[Shard]) -> list[Shard]:
    folder.mkdir(parents=True, exist_ok=True)
    return [shard for shard in shards if not shard.path.exists()]


def _on_each_core(make: Callable[..., None], tasks: list[tuple]) -> None:
    """Call ``make`` on every task, each core its own."""
    workers = min(os.cpu_count() or 1, len(tasks))
    if workers:
        with multiprocessing.get_context("spawn").Pool(workers, torch.set_num_threads, (1,)) as pool:
            pool.starmap(make, tasks, chunksize=1)


def _save(path: Path, pictures: np.ndarray) -> None:
    temporary = path.with_suffix(".part.npy")
    np.save(temporary, pictures)
    os.replace(temporary, path)
