"""Masks that are read from a file."""

from pathlib import Path

import pytest
from PIL import Image

from pnpvideo.background import Masks
from pnpvideo.events import Event
from pnpvideo.video.clip import ClipInfo


@pytest.mark.parametrize(("side", "scaled"), [(300, True), (512, False)])
def test_a_mask_of_another_size_is_said(side: int, scaled: bool, tmp_path: Path) -> None:
    Image.new("L", (side, side), 255).save(tmp_path / "mask.png")
    said: list[Event] = []
    clip = ClipInfo(path=None, kind="still", width=512, height=512, frames=1)
    masks = Masks(tmp_path / "mask.png", clip, None, said.append)
    assert masks.take(1)[0].shape == (side, side)
    assert ["300 x 300, the input 512 x 512" in str(event) for event in said] == [True] * scaled


def test_what_reading_a_mask_changes_is_said(tmp_path: Path) -> None:
    Image.new("F", (8, 8), 1.0).save(tmp_path / "mask.tiff")
    said: list[Event] = []
    masks = Masks(tmp_path / "mask.tiff", ClipInfo(path=None, kind="still", width=8, height=8), None, said.append)
    assert masks.take(1)[0].min() == 255
    assert "0 (black) to 1 (white)" in str(said)
