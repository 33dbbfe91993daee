"""The notice about pictures from outside a small model's world: whom it warns, and at which sizes."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from pnpvideo.events import Event, Notice
from pnpvideo.pipeline import translate
from pnpvideo.settings.card import Card
from pnpvideo.settings.options import Options
from samples.clips import FOLDER


@pytest.mark.parametrize(
    ("notice", "size", "asked"),
    [("outside", 128, True), ("outside", 512, True), ("outside", 127, False), (None, 256, False)],
)
def test_from_half_the_native_size_on_a_picture_is_judged(notice: str | None, size: int, asked: bool) -> None:
    assert Card(outside_notice=notice).knows_pictures_at(size, native=256) == asked


def notices(picture: Path, size: int, tmp_path: Path) -> list[str]:
    events: list[Event] = []
    options = Options.from_flat(
        {
            **{"method": "sdedit", "steps": 1, "size": size, "source_prompt": "", "store": tmp_path / "store"},
            **{"device": "cpu", "frames": (0, 1)},
        }
    )
    translate(picture, "a photo of a red ball", tmp_path / "out", options, report=events.append)
    return [event.message for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize("size", [64, 128])
def test_a_shipped_sample_is_inside_at_every_size(size: int, tmp_path: Path) -> None:
    assert notices(FOLDER / "pan.mp4", size, tmp_path) == []


def test_a_page_of_text_is_outside(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    page = Image.new("RGB", (256, 256), "white")
    for line in range(16):
        ImageDraw.Draw(page).text((4, 4 + 15 * line), "The quick brown fox jumps over the lazy dog", fill="black")
    page.save(tmp_path / "pages" / "0.png")
    assert ["outside the miniature's small world" in said for said in notices(tmp_path / "pages", 128, tmp_path)] == [
        True
    ]
