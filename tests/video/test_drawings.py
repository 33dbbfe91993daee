"""Copies of a drawing are one drawing, however the codec disturbed them; what moves, even slowly, is not."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.video.clip import Frame, Shot
from pnpvideo.video.drawings import Drawings, count_drawings, find_held_drawings
from pnpvideo.video.read import read

Draw = Callable[..., np.ndarray]
Encode = Callable[..., Path]


def drawings_of(path: Path) -> Drawings:
    frames = tuple(read(path).frames())
    assert count_drawings(frames) == len(find_held_drawings(Shot(0, frames)).frames)
    return find_held_drawings(Shot(0, frames))


@pytest.mark.parametrize("hold", [1, 2, 3])
@pytest.mark.parametrize("quality", [18, 20, 22])
def test_animation_on_ones_twos_and_threes(hold: int, quality: int, encode: Encode, disc: Draw) -> None:
    pictures = [disc(40 + 6 * (k // hold)) for k in range(24)]
    options = ("-c:v", "libx264", "-crf", str(quality), "-g", "10", "-pix_fmt", "yuv420p")
    drawings = drawings_of(encode("a.mp4", pictures, *options))
    assert list(drawings.drawing_of_frame) == [k // hold for k in range(24)]
    assert [frame.index for frame in drawings.frames] == list(range(0, 24, hold))
    assert [frame.pts_seconds for frame in drawings.frames] == [Fraction(k, 24) for k in range(0, 24, hold)]


def test_a_still_clip_is_one_drawing(encode: Encode, disc: Draw) -> None:
    assert (
        len(drawings_of(encode("a.mp4", [disc(90)] * 40, "-c:v", "libx264", "-g", "10", "-pix_fmt", "yuv420p")).frames)
        == 1
    )


def test_a_slow_movement_of_one_pixel_a_frame_is_not_merged(encode: Encode, disc: Draw) -> None:
    assert list(drawings_of(encode("a.mp4", [disc(60 + k) for k in range(24)])).drawing_of_frame) == list(range(24))


def test_a_movement_of_a_fraction_of_a_pixel_cannot_creep_on(encode: Encode, disc: Draw) -> None:
    drawings = drawings_of(encode("a.mp4", [disc(60 + k / 4) for k in range(32)]))
    shown_at = [60 + drawings.frames[drawing].index / 4 for drawing in drawings.drawing_of_frame]
    assert max(abs(shown - (60 + k / 4)) for k, shown in enumerate(shown_at)) <= 0.75


def test_a_slow_pan_of_a_texture_is_not_merged(encode: Encode) -> None:
    scene = np.random.default_rng(1).uniform(0, 255, (16, 40, 3)).repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
    pictures = [np.ascontiguousarray(scene[:, k : k + 192]) for k in range(24)]
    assert list(drawings_of(encode("a.mp4", pictures)).drawing_of_frame) == list(range(24))


def test_a_small_object_that_moves_is_seen(disc: Draw) -> None:
    pictures = []
    for k in range(6):
        picture = disc(60)
        picture[10:14, 20 + 2 * k : 24 + 2 * k] = (20, 20, 20)
        pictures.append(picture)
    frames = tuple(Frame(k, Fraction(k, 24), picture) for k, picture in enumerate(pictures))
    assert find_held_drawings(Shot(0, frames)).drawing_of_frame == (0, 1, 2, 3, 4, 5)


def test_a_drawing_that_returns_counts_anew(disc: Draw) -> None:
    frames = tuple(Frame(k, Fraction(k, 24), disc(x)) for k, x in enumerate((40, 40, 90, 40)))
    assert find_held_drawings(Shot(0, frames)).drawing_of_frame == (0, 0, 1, 2)


def test_alpha_and_odd_sizes_count(disc: Draw) -> None:
    picture = np.dstack([disc(60), np.full((128, 192), 255, np.uint8)])[:51, :67]
    clearer = picture.copy()
    clearer[45:, 60:, 3] = 0
    frames = tuple(Frame(k, Fraction(k, 24), p) for k, p in enumerate((picture, picture.copy(), clearer)))
    assert find_held_drawings(Shot(0, frames)).drawing_of_frame == (0, 0, 1)
