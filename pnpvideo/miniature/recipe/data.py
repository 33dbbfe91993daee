"""The training pictures: scenes of the procedural world and of drawings, rendered once to uint8 shards.

Scene ``i`` of the procedural world is ``random_scene(i)`` at a random moment; scene ``i`` of the drawings is
``random_art(i)`` with names that are not held out. Each is rendered in LOOKS_PER_SCENE styles or looks. Scenes from
HELD_OUT on are never trained on. The first scenes of the procedural world are rendered at full size, further ones at
half size only, which is four times cheaper. A shard is written to a temporary file and renamed, so an interrupted run
resumes with the next shard.
"""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch

from pnpvideo.errors import PnPVideoError
from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.drawing import draw_scene
from pnpvideo.miniature.art.names import training_names
from pnpvideo.miniature.art.scene import ArtInstant, random_art
from pnpvideo.miniature.art.sprites import LOOKS, Sprites
from pnpvideo.miniature.world import STYLES, Instant, caption, random_scene, render

HELD_OUT = 10_000_000
TUNING = 20_000_000
"""Scenes from TUNING on are for choosing settings; those from HELD_OUT on are for reporting only."""
SHARD = 100
"""Scenes in a shard."""
BLOCK = 10
"""Consecutive scenes with the same styles, which a GPU renders as one batch."""
LOOKS_PER_SCENE = 3
SIZE = 256
"""Pixels: width and height of a picture."""


class Shard(NamedTuple):
    """A file of pictures: its path, its number, and the width and height of its pictures in pixels."""

    path: Path
    number: int
    size: int


def training_instant(index: int) -> Instant:
    """Scene ``index`` of the procedural world at its random moment."""
    return random_scene(index).at(Random(index + 1).random())


def training_styles(index: int) -> tuple[str, ...]:
    """The styles of scene ``index`` of the procedural world, by column of its shard."""
    return tuple(Random(index // BLOCK).sample(list(STYLES), LOOKS_PER_SCENE))


def training_art_instant(index: int) -> ArtInstant:
    """Scene ``index`` of the drawings at its random moment."""
    return random_art(index, training_names()).at(Random(index + 1).random())


def make_shards(folder: Path, count: int, device: str = "cpu", more: int = 0) -> None:
    """Render the missing ones of ``count`` shards, each (SHARD, LOOKS_PER_SCENE, 3, size, size) uint8.

    more: number of shards at half size that follow. On a CPU all cores render in parallel. Raises PnPVideoError if
    those that are there show other scenes than this code does; their captions would be wrong.
    """
    sizes = [SIZE] * count + [SIZE // 2] * more
    shards = [Shard(shard_path(folder, number, size), number, size) for number, size in enumerate(sizes)]
    missing = _missing(folder, shards)
    for shard in _last_of_each_size(set(shards) - set(missing)):
        _check_first_picture(shard, _render(shard, 0, 1, device)[0, 0])
    if torch.device(device).type == "cpu":
        _run_on_all_cores(make_shard, [(shard, device) for shard in missing])
    else:
        for shard in missing:
            make_shard(shard, device)


def make_art_shards(folder: Path, count: int, packages: Path) -> None:
    """Render the missing ones of ``count`` shards of drawings, each (SHARD, looks, 3, SIZE, SIZE) uint8.

    packages: folder of the npm packages of drawings; missing packages are downloaded to it. Raises as ``make_shards``.
    """
    shards = [Shard(art_path(folder, number), number, SIZE) for number in range(count)]
    missing = _missing(folder, shards)
    for shard in _last_of_each_size(set(shards) - set(missing)):
        _check_first_picture(shard, _draw(shard, 0, LOOKS[0], Sprites(packages)))
    _run_on_all_cores(make_art_shard, [(shard, packages) for shard in missing])


def shard_path(folder: Path, number: int, size: int) -> Path:
    """Path of a shard of the procedural world with pictures of ``size`` pixels."""
    return folder / f"{'pictures' if size == SIZE else 'halves'}-{number:04d}.npy"


def art_path(folder: Path, number: int) -> Path:
    """Path of a shard of drawings."""
    return folder / f"art-{number:04d}.npy"


def make_shard(shard: Shard, device: str) -> None:
    """Render one shard of the procedural world."""
    chunk = 1 if torch.device(device).type == "cpu" else BLOCK
    pictures = np.empty((SHARD, LOOKS_PER_SCENE, 3, shard.size, shard.size), np.uint8)
    for row in range(0, SHARD, chunk):
        pictures[row : row + chunk] = _render(shard, row, chunk, device)
    _save(shard.path, pictures)


def _render(shard: Shard, row: int, count: int, device: str) -> np.ndarray:
    """``count`` scenes of a shard from ``row`` on, all of one block: (count, LOOKS_PER_SCENE, 3, size, size) uint8."""
    scenes = range(shard.number * SHARD + row, shard.number * SHARD + row + count)
    styles = training_styles(scenes[0])
    rendered = render([training_instant(scene) for scene in scenes], list(styles), shard.size, device=device)
    stack = torch.stack([rendered[style] for style in styles], 1)
    pictures: np.ndarray = (stack * 255).round().to(torch.uint8).cpu().numpy()
    return pictures


def make_art_shard(shard: Shard, packages: Path) -> None:
    """Render one shard of drawings."""
    sprites = Sprites(packages)
    pictures = np.empty((SHARD, len(LOOKS), 3, shard.size, shard.size), np.uint8)
    for row in range(SHARD):
        for column, look in enumerate(LOOKS):
            pictures[row, column] = _draw(shard, row, look, sprites)
    _save(shard.path, pictures)


def _draw(shard: Shard, row: int, look: str, sprites: Sprites) -> np.ndarray:
    """One scene of a shard of drawings in ``look``: (3, size, size) uint8."""
    scene = training_art_instant(shard.number * SHARD + row)
    picture: np.ndarray = draw_scene(scene, look, sprites, shard.size).transpose(2, 0, 1)
    return picture


def _last_of_each_size(shards: set[Shard]) -> list[Shard]:
    return list({shard.size: shard for shard in sorted(shards, key=lambda shard: shard.number)}.values())


def _check_first_picture(shard: Shard, expected: np.ndarray) -> None:
    """Raise PnPVideoError unless the shard's first picture looks like ``expected``; other devices round otherwise."""
    found = np.load(shard.path, mmap_mode="r")[0, 0]
    if found.shape != expected.shape or np.abs(found.astype(np.float32) - expected).mean() > 1.0:
        raise PnPVideoError(
            f"{shard.path} shows other scenes than this version renders; train in a new folder, or delete the pictures "
            "and latents of this one"
        )


class Pictures:
    """The shards of the procedural world: ``count`` scenes, and ``more`` that exist at half size only.

    ``pictures[i]`` is (LOOKS_PER_SCENE, 3, SIZE, SIZE) uint8 for i < len(pictures); ``half_size(i)`` works for
    i < pictures.scenes. Raises ValueError if there are ``more`` and ``count`` is not a multiple of SHARD.
    """

    def __init__(self, folder: Path, count: int, more: int = 0) -> None:
        if more and count % SHARD:
            raise ValueError(f"{count} scenes at full size are no whole shards of {SHARD}")
        whole = -(-count // SHARD)
        paths = [self.path(folder, number) for number in range(whole)]
        paths += [shard_path(folder, whole + number, SIZE // 2) for number in range(-(-more // SHARD))]
        self.count, self.scenes = count, count + more
        self.shards = [np.load(path, mmap_mode="r") for path in paths]
        self._half_size: dict[int, np.ndarray] = {}
        """Shard -> its pictures at half size; to average them takes longer than to read them."""

    @staticmethod
    def path(folder: Path, number: int) -> Path:
        """Path of shard ``number`` at full size."""
        return shard_path(folder, number, SIZE)

    @staticmethod
    def caption(index: int, column: int, rng: Random | None = None) -> str:
        """Describe scene ``index`` in its ``column``-th look; without ``rng`` by the plain caption."""
        return caption(training_instant(index), training_styles(index)[column], rng)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self.shards[index // SHARD][index % SHARD]))

    def picture(self, index: int, column: int) -> torch.Tensor:
        """Scene ``index`` in its ``column``-th look, (3, SIZE, SIZE) uint8."""
        return torch.from_numpy(np.array(self.shards[index // SHARD][index % SHARD, column]))

    def half_size(self, index: int) -> torch.Tensor:
        """Scene ``index`` in all its looks at half size, (LOOKS_PER_SCENE, 3, SIZE / 2, SIZE / 2) uint8."""
        number = index // SHARD
        if index >= self.count:
            return torch.from_numpy(np.array(self.shards[number][index % SHARD]))
        if number not in self._half_size:
            whole = torch.from_numpy(np.array(self.shards[number]))
            halves = [torch.nn.functional.avg_pool2d(each.float(), 2).round().to(torch.uint8) for each in whole]
            self._half_size[number] = torch.stack(halves).numpy()
        return torch.from_numpy(self._half_size[number][index % SHARD])

    def crop(self, index: int, column: int, top: int, left: int, side: int) -> torch.Tensor:
        """A square of a picture, (3, side, side) uint8; top, left, side: pixels."""
        shard = self.shards[index // SHARD]
        return torch.from_numpy(np.array(shard[index % SHARD, column, :, top : top + side, left : left + side]))


class ArtPictures(Pictures):
    """The shards of drawings."""

    @staticmethod
    def path(folder: Path, number: int) -> Path:
        return art_path(folder, number)

    @staticmethod
    def caption(index: int, column: int, rng: Random | None = None) -> str:
        return art_caption(training_art_instant(index), LOOKS[column], rng)


Sources = Sequence[tuple[Pictures, float]]
"""Pictures, and the share of every batch that is drawn from them."""


def _missing(folder: Path, shards: list[Shard]) -> list[Shard]:
    folder.mkdir(parents=True, exist_ok=True)
    return [shard for shard in shards if not shard.path.exists()]


def _run_on_all_cores(make: Callable[..., None], tasks: Sequence[tuple[object, ...]]) -> None:
    """Call ``make`` with the arguments of every task, in one process for each core."""
    workers = min(os.cpu_count() or 1, len(tasks))
    if workers:
        with multiprocessing.get_context("spawn").Pool(workers, torch.set_num_threads, (1,)) as pool:
            pool.starmap(make, tasks, chunksize=1)


def _save(path: Path, pictures: np.ndarray) -> None:
    temporary = path.with_suffix(".part.npy")
    np.save(temporary, pictures)
    os.replace(temporary, path)
