"""A cut is found where there is one; motion, held drawings and flashes are none."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from pnpvideo.video.clip import Frame
from pnpvideo.video.read import read
from pnpvideo.video.shots import shots

Draw = Callable[..., np.ndarray]
Number = Callable[[list[np.ndarray]], list[Frame]]
NIGHT = {"sky": (40, 40, 90), "ground": (225, 205, 140), "colour": (250, 230, 60)}


def lengths(frames: list[Frame]) -> list[int]:
    return [len(shot.frames) for shot in shots(frames)]


def texture(seed: int, width: int, height: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 12, width // 12, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def test_a_hard_cut_in_a_flat_cartoon_is_found(disc: Draw, as_frames: Number) -> None:
    frames = as_frames([disc(40 + 4 * k) for k in range(9)] + [disc(150 - 4 * k, **NIGHT) for k in range(7)])
    found = list(shots(frames))
    assert [shot.index for shot in found] == [0, 1]
    assert [frame for shot in found for frame in shot.frames] == frames, "frames, times and indices are passed on"
    assert len(found[0].frames) == 9


@pytest.mark.parametrize("position", [1, 2, 3, 14, 15])
def test_a_cut_near_either_end_is_found(position: int, disc: Draw, as_frames: Number) -> None:
    pictures = [disc(40 + 4 * k) if k < position else disc(150 - 4 * k, **NIGHT) for k in range(16)]
    assert lengths(as_frames(pictures)) == [position, 16 - position]


def test_cuts_between_encoded_textures_are_found(encode: Callable[..., Path]) -> None:
    scenes = [texture(seed, 320, 128) for seed in range(3)]
    pictures = [np.ascontiguousarray(scene[:, 3 * k : 3 * k + 192]) for scene in scenes for k in range(10)]
    assert lengths(list(read(encode("a.mp4", pictures)).frames())) == [10, 10, 10]


@pytest.mark.parametrize("step", [5, 20, 40])
def test_fast_motion_is_no_cut(step: int, disc: Draw, as_frames: Number) -> None:
    assert lengths(as_frames([disc(20 + step * k % 160) for k in range(20)])) == [20]


@pytest.mark.parametrize("step", [2, 12, 24])
def test_a_pan_is_no_cut(step: int, as_frames: Number) -> None:
    scene = texture(0, 192 + 24 * 20, 128)
    assert lengths(as_frames([np.ascontiguousarray(scene[:, step * k : step * k + 192]) for k in range(20)])) == [20]


@pytest.mark.parametrize("hold", [2, 3, 6])
def test_held_drawings_are_no_cuts(hold: int, disc: Draw, as_frames: Number) -> None:
    assert lengths(as_frames([disc(20 + 24 * (k // hold)) for k in range(6 * hold)])) == [6 * hold]


def test_a_flash_is_no_cut(disc: Draw, as_frames: Number) -> None:
    pictures = [disc(40 + 4 * k) for k in range(12)]
    for flash in (5, 6):
        pictures[flash] = np.full_like(pictures[0], 255)
    assert lengths(as_frames(pictures)) == [12]


def test_a_fade_is_no_cut(disc: Draw, as_frames: Number) -> None:
    assert lengths(as_frames([(disc(90) * (1 - k / 16)).astype(np.uint8) for k in range(16)])) == [16]


def test_shots_are_lazy(disc: Draw, as_frames: Number) -> None:
    taken = 0

    def endless() -> Iterator[Frame]:
        nonlocal taken
        while True:
            taken += 1
            picture = disc(40) if taken <= 5 else disc(150, **NIGHT)
            yield Frame(taken - 1, Fraction(taken - 1, 24), picture)

    assert len(next(shots(endless())).frames) == 5
    assert taken < 12


def test_one_frame_is_one_shot_and_none_is_none(disc: Draw, as_frames: Number) -> None:
    assert lengths(as_frames([disc(40)])) == [1]
    assert lengths([]) == []


def test_transparent_and_tiny_pictures_are_compared_too(as_frames: Number) -> None:
    clear, solid = np.zeros((5, 3, 4), np.uint8), np.full((5, 3, 4), 255, np.uint8)
    assert lengths(as_frames([clear] * 4 + [solid] * 4)) == [4, 4]


@pytest.mark.parametrize(
    ("count", "parts"), [(1, [1]), (6, [6]), (7, [4, 3]), (10, [4, 6]), (11, [4, 4, 3]), (40, [4] * 9 + [4])]
)
def test_a_long_shot_comes_in_parts(count: int, parts: list[int]) -> None:
    frames = [Frame(index, Fraction(index), np.zeros((8, 8, 3), np.uint8)) for index in range(count)]
    found = list(shots(frames, most=4))
    assert [len(part.frames) for part in found] == parts
    assert [frame.index for part in found for frame in part.frames] == list(range(count))
    assert [part.part for part in found] == list(range(len(parts))) and {part.index for part in found} == {0}
    assert [part.more for part in found] == [True] * (len(parts) - 1) + [False]


def test_few_frames_of_a_long_shot_are_held_at_a_time() -> None:
    taken = 0

    def frames() -> Iterator[Frame]:
        nonlocal taken
        for index in range(100):
            taken += 1
            yield Frame(index, Fraction(index), np.zeros((8, 8, 3), np.uint8))

    given = 0
    for part in shots(frames(), most=8):
        given += len(part.frames)
        assert taken - given <= 8
