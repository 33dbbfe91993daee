"""Conditions for ControlNets: Canny's edges, and pictures that users bring."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pnpvideo.video.conditions import MAKERS, Conditions, canny, tile
from pnpvideo.video.read import read


def test_canny_is_opencvs_in_three_channels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    found = canny(picture)
    assert found.shape == picture.shape and found.dtype == np.uint8
    assert all(np.array_equal(found[..., channel], cv2.Canny(picture, 100, 200)) for channel in range(3))
    assert np.array_equal(canny(picture[:, ::-1][:, ::-1]), found)  # a view too
    assert tile(picture) is picture and {"canny": canny, "tile": tile} == MAKERS


def test_pictures_come_by_frame_at_the_working_size(tmp_path: Path) -> None:
    for name, side in (("clip", 16), ("poses", 32)):
        (tmp_path / name).mkdir()
        for number in range(3):
            colour = (80 * number, 0, 255, 255) if number < 2 else (200, 200, 200, 0)
            Image.new("RGBA", (side, side), colour).save(tmp_path / name / f"{number}.png")
    Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "still.png")
    conditions = Conditions([tmp_path / "poses", tmp_path / "still.png"], read(tmp_path / "clip"), None, (8, 8))
    found = conditions.take(2) + conditions.take(1)
    assert [[each.shape for each in frame] for frame in found] == [[(8, 8, 3)] * 2] * 3
    assert [int(frame[0][0, 0, 0]) for frame in found] == [0, 80, 0]  # what is transparent is black
    assert int(found[2][1][0, 0, 0]) == 9
    conditions.finish()
