"""Outputs that Pillow writes."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import EncodeError
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.folder import DURATION_KEY, TIME_KEY
from pnpvideo.video.pillow_writers import FolderWriter, StillWriter, WebPWriter

INFO = ClipInfo(path=None, kind="still", width=6, height=4, loop=2)
PICTURE = np.full((4, 6, 3), (200, 30, 90), np.uint8)
TICK = Fraction(1, 24)


def test_a_still_takes_one_picture(tmp_path: Path) -> None:
    writer = StillWriter(tmp_path / "a.png", "PNG", INFO)
    writer.append(PICTURE, Fraction(0), TICK)
    with pytest.raises(EncodeError, match="a second frame"):
        writer.append(PICTURE, TICK, TICK)
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), PICTURE)


def test_a_folder_holds_numbered_frames_with_their_times(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "frames")
    for k in range(2):
        writer.append(PICTURE, k * TICK, TICK)
    writer.finish()
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["000000.png", "000001.png"]
    with Image.open(tmp_path / "frames" / "000001.png") as image:
        assert (image.info[TIME_KEY], image.info[DURATION_KEY]) == ("1/24", "1/24")


@pytest.mark.parametrize("count", [1, 3])
def test_a_webp_is_a_still_or_an_animation_by_the_number_of_frames(count: int, tmp_path: Path) -> None:
    writer = WebPWriter(tmp_path / "a.webp", INFO, alpha=False)
    for k in range(count):
        writer.append(PICTURE, k * TICK, TICK)
    writer.finish()
    with Image.open(tmp_path / "a.webp") as image:
        assert getattr(image, "n_frames", 1) == count and getattr(image, "is_animated", False) == (count > 1)
        if count > 1:
            durations = []
            for k in range(count):
                image.seek(k)
                image.load()
                durations.append(image.info["duration"])
            assert durations == [42, 41, 42], "rounded without drift"
            assert image.info["loop"] == 2


def test_an_aborted_webp_is_closed(tmp_path: Path) -> None:
    writer = WebPWriter(tmp_path / "a.webp", INFO, alpha=False)
    writer.append(PICTURE, Fraction(0), TICK)
    writer.abort()
    (tmp_path / "a.webp").unlink()
