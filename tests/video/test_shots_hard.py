"""What hides a cut, or looks like one: still pictures beside it, whip pans, flashes, fades, overlays and darkness."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pnpvideo.video.clip import Frame
from pnpvideo.video.shots import shots

Draw = Callable[..., np.ndarray]
Number = Callable[[list[np.ndarray]], list[Frame]]
Pictures = list[np.ndarray]
SAND = (225, 205, 140)


def lengths(frames: list[Frame]) -> list[int]:
    return [len(shot.frames) for shot in shots(frames)]


def texture(seed: int, width: int = 192, height: int = 128) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 12, width // 12, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def lettering(width: int, height: int) -> np.ndarray:
    """Light capitals on a dark ground."""
    picture = np.full((height, width, 3), (40, 30, 60), np.uint8)
    for line in range(20, height, 30):
        cv2.putText(picture, "BREAKING NEWS " * 20, (4, line), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (240,) * 3, 2)
    return picture


def beside(pictures: Pictures, still: np.ndarray) -> Pictures:
    return [np.hstack((picture, still)) for picture in pictures]


def above(pictures: Pictures, still: np.ndarray) -> Pictures:
    return [np.vstack((picture, still)) for picture in pictures]


def below(pictures: Pictures, still: np.ndarray) -> Pictures:
    return [np.vstack((still, picture)) for picture in pictures]


def letterboxed(pictures: Pictures, still: np.ndarray) -> Pictures:
    bar = np.zeros((64, 192, 3), np.uint8)
    logo = bar.copy()
    logo[20:44, 140:180] = still[20:44, 140:180]
    return [np.vstack((bar, picture, logo)) for picture in pictures]


def with_ticker(pictures: Pictures, still: np.ndarray) -> Pictures:
    band = lettering(800, 36)
    return [np.vstack((both, band[:, 5 * k : 5 * k + 384])) for k, both in enumerate(beside(pictures, still))]


@pytest.mark.parametrize("layout", [beside, above, below, letterboxed, with_ticker])
def test_a_cut_is_found_where_the_rest_of_the_picture_stands_still(
    layout: Callable[[Pictures, np.ndarray], Pictures], disc: Draw, as_frames: Number
) -> None:
    pictures = [disc(40 + 4 * k) for k in range(8)] + [disc(70 - 2 * k, ground=SAND) for k in range(8)]
    assert lengths(as_frames(layout(pictures, texture(1)))) == [8, 8]


@pytest.mark.parametrize("layout", [beside, above])
def test_motion_beside_a_still_picture_is_no_cut(
    layout: Callable[[Pictures, np.ndarray], Pictures], disc: Draw, as_frames: Number
) -> None:
    assert lengths(as_frames(layout([disc(20 + 40 * k % 160) for k in range(12)], texture(1)))) == [12]


def test_a_cut_between_dark_pictures_is_found(as_frames: Number) -> None:
    dark = [(texture(seed) * 0.06).astype(np.uint8) for seed in (1, 2)]
    assert lengths(as_frames([dark[0]] * 6 + [dark[1]] * 6)) == [6, 6]


def test_a_whip_pan_is_no_cut(as_frames: Number) -> None:
    wide = texture(3, width=1200)
    starts = [0, 2, 4, 6, 8, 60, 160, 280, 400, 500, 550, 552, 554, 556]
    assert lengths(as_frames([wide[:, start : start + 192].copy() for start in starts])) == [len(starts)]


@pytest.mark.parametrize("light", [[1.0], [0.8, 0.8], [0.9, 0.5, 0.2]])
def test_a_flash_of_up_to_three_frames_is_no_cut(light: list[float], as_frames: Number) -> None:
    pictures = [texture(4, width=300)[:, 2 * k : 2 * k + 192].astype(float) for k in range(12)]
    for index, share in enumerate(light, 5):
        pictures[index] = pictures[index] * (1 - share) + 255 * share
    assert lengths(as_frames([picture.astype(np.uint8) for picture in pictures])) == [12]


@pytest.mark.parametrize("ground", [0, 255])
def test_a_quick_fade_of_a_moving_picture_is_no_cut(ground: int, as_frames: Number) -> None:
    levels = [1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1]
    scene = texture(5, width=300)
    moving = [scene[:, 4 * k : 4 * k + 192] * level + ground * (1 - level) for k, level in enumerate(levels)]
    assert lengths(as_frames([picture.astype(np.uint8) for picture in moving])) == [len(levels)]


def test_an_overlay_that_appears_and_goes_is_no_cut(disc: Draw, as_frames: Number) -> None:
    pictures = [disc(40 + 2 * k) for k in range(16)]
    for picture in pictures[5:11]:
        picture[30:100, 30:165] = lettering(135, 70)
    assert lengths(as_frames(pictures)) == [16]


def test_a_frame_that_mixes_two_shots_makes_one_cut(as_frames: Number) -> None:
    one, two = texture(6), texture(7)
    mixed = cv2.addWeighted(one, 0.5, two, 0.5, 0)
    assert lengths(as_frames([one] * 5 + [mixed] + [two] * 5)) in ([5, 6], [6, 5])


def test_shots_of_four_frames_are_told_apart(as_frames: Number) -> None:
    assert lengths(as_frames([texture(seed) for seed in range(8, 12) for _ in range(4)])) == [4, 4, 4, 4]
