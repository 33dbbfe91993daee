"""The frames of a preview are spread over the shots, or are those that are named."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import OptionError
from pnpvideo.explore.frames import ChosenOnly, choose_frames
from pnpvideo.video.masks import Masks
from pnpvideo.video.read import read

Clips = Callable[..., Path]


@pytest.fixture
def two_shots(tmp_path: Path) -> Path:
    """A folder of 12 pictures of coloured blocks at 24 a second: 9 of one scene, then 3 of another."""
    folder = tmp_path / "shots"
    folder.mkdir()
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 256, (2, 8, 12, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    for index in range(12):
        picture = scenes[int(index >= 9)].copy()
        picture[:8, 4 * index : 4 * index + 8] = 255
        Image.fromarray(picture).save(folder / f"{index:02d}.png")
    return folder


def chosen(path: Path, *arguments: Any, span: tuple[int, int] | None = None, **more: Any) -> list[list[int]]:
    found = choose_frames(read(path, span=span), *arguments, **more)
    return [[frame.index for frame in shot.frames] for shot in found.shots]


@pytest.mark.parametrize(
    ("count", "frames"),
    [
        (1, [[6]]),
        (2, [[4], [10]]),
        (3, [[2, 6], [10]]),
        (4, [[1, 4, 7], [10]]),
        (50, [[*range(9)], [9, 10, 11]]),
    ],
)
def test_frames_are_spread_over_the_shots(count: int, frames: list[list[int]], two_shots: Path) -> None:
    assert chosen(two_shots, count) == frames


def test_shots_keep_their_numbers_and_what_a_translation_captions(two_shots: Path) -> None:
    (shot,) = choose_frames(read(two_shots), (10,)).shots
    assert shot.index == 1 and shot.shown is not None and shot.shown.index == 10
    (first,) = choose_frames(read(two_shots), (0,), window=4).shots
    assert first.shown is not None and first.shown.index == 2  # the middle of its first window of four


def test_frames_are_named_by_number_or_time(clip_of: Clips) -> None:
    clip = clip_of(12)  # 12 frames a second
    assert chosen(clip, (5, 0)) == [[0, 5]]
    assert chosen(clip, (Fraction("0.5"), Fraction("0.99"), 11)) == [[6, 11]]
    assert chosen(clip, (Fraction("0.55"),), span=(4, 8)) == [[6]]
    found = choose_frames(read(clip, span=(4, 8)), 1)
    assert found.seconds == (0.5,)


@pytest.mark.parametrize("at", [12, 3, Fraction(1), Fraction(1, 10)])
def test_a_frame_that_is_not_read_is_refused(at: int | Fraction, clip_of: Clips) -> None:
    with pytest.raises(OptionError, match=r"at is .*; the frames that are read are"):
        chosen(clip_of(12), (at,), span=(4, 12))


def test_a_still_has_one_frame(tmp_path: Path) -> None:
    Image.new("RGB", (20, 30)).save(tmp_path / "a.png")
    assert chosen(tmp_path / "a.png", 3) == [[0]]


def test_masks_are_those_of_the_chosen_frames(two_shots: Path, tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    for index in range(12):
        Image.new("L", (96, 64), 10 * index).save(folder / f"{index:02d}.png")
    clip = read(two_shots)
    masks = ChosenOnly(Masks(folder, clip, None), clip, choose_frames(clip, 3))
    assert [int(mask[0, 0]) for mask in (*masks.take(2), *masks.take(1))] == [20, 60, 100]
