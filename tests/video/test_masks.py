"""Masks that are read from a file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import OptionError
from pnpvideo.events import Event
from pnpvideo.video.clip import Clip, ClipInfo
from pnpvideo.video.masks import Masks
from pnpvideo.video.read import read
from pnpvideo.video.span import Span, TimeSpan

Make = Callable[..., Path]
LOSSLESS = ("-c:v", "ffv1", "-pix_fmt", "gray")


def still_clip(width: int, height: int) -> Clip:
    info = ClipInfo(path=None, kind="still", width=width, height=height, frames=1)
    return Clip(info=info, open=lambda: iter(()))


def ramp(first: int, count: int) -> str:
    """Grey frames of 32 x 24 at 10 a second; frame k is 4 (first + k)."""
    return f"color=black:s=32x24:r=10:d={count / 10},format=gray,geq=lum='4*({first}+N)'"


@pytest.mark.parametrize(("side", "is_scaled"), [(300, True), (512, False)])
def test_a_mask_of_another_size_is_reported(side: int, is_scaled: bool, tmp_path: Path) -> None:
    Image.new("L", (side, side), 255).save(tmp_path / "mask.png")
    events: list[Event] = []
    masks = Masks(tmp_path / "mask.png", still_clip(512, 512), None, events.append)
    assert masks.take(1)[0].shape == (side, side)
    assert ["300 x 300, the input 512 x 512: it is scaled" in str(event) for event in events] == [True] * is_scaled


@pytest.mark.parametrize(
    ("mask", "clip", "fits"),
    [
        ((96, 54), (1920, 1080), True),
        ((97, 54), (1920, 1080), True),  # one pixel off
        ((9, 5), (1920, 1080), True),
        ((912, 512), (1920, 1080), True),  # multiples of 8
        ((1024, 1004), (1024, 1024), False),  # 2%, and 20 pixels
        ((1004, 1024), (1024, 1024), False),
        ((1920, 1088), (1920, 1080), False),
        ((100, 100), (100, 98), False),
        ((16, 16), (1920, 1080), False),
        ((1080, 1920), (1920, 1080), False),
    ],
)
def test_a_mask_of_another_aspect_is_refused(
    mask: tuple[int, int], clip: tuple[int, int], fits: bool, tmp_path: Path
) -> None:
    Image.new("L", mask, 255).save(tmp_path / "mask.png")
    if fits:
        assert Masks(tmp_path / "mask.png", still_clip(*clip), None).take(1)[0].shape == mask[::-1]
        return
    with pytest.raises(OptionError, match=f"is {mask[0]} x {mask[1]}, the input {clip[0]} x {clip[1]}: give a mask of"):
        Masks(tmp_path / "mask.png", still_clip(*clip), None)


def test_what_reading_a_mask_changes_is_reported(tmp_path: Path) -> None:
    Image.new("F", (8, 8), 1.0).save(tmp_path / "mask.tiff")
    events: list[Event] = []
    masks = Masks(tmp_path / "mask.tiff", still_clip(8, 8), None, events.append)
    assert masks.take(1)[0].min() == 255
    assert "0 (black) to 1 (white)" in str(events)


@pytest.mark.parametrize("span", [(5, 15), TimeSpan(0.5, 1.5), (8, None), TimeSpan(0.8)])
@pytest.mark.parametrize("name", ["mask.mkv", "mask"])
def test_masks_belong_to_the_frames_of_the_span_by_number(span: Span, name: str, make: Make, tmp_path: Path) -> None:
    clip = read(make("clip.mkv", "-f", "lavfi", "-i", ramp(0, 20), *LOSSLESS), span=span)
    assert clip.span is not None
    start, stop = clip.span
    masks = {"whole": (0, 20), "span": (start, stop - start)}
    for first, count in masks.values():
        if name == "mask":  # a folder, whose frames have other times than the clip's
            path = tmp_path / f"mask{first}-{count}"
            path.mkdir(exist_ok=True)
            for k in range(count):
                Image.new("L", (32, 24), 4 * (first + k)).save(path / f"{k}.png")
        else:
            path = make(name, "-f", "lavfi", "-i", ramp(first, count), *LOSSLESS)
        read_masks = Masks(path, clip, span)
        found = [int(np.median(mask)) for mask in read_masks.take(stop - start)]
        assert np.abs(np.array(found) - 4 * np.arange(start, stop)).max() <= 2
        read_masks.finish()


@pytest.mark.parametrize(
    ("span", "count", "which"),
    [
        ((5, 15), 12, "fewer"),
        ((5, None), 18, "fewer"),
        ((5, None), 24, "more"),
        (None, 18, "fewer"),
        (None, 24, "more"),
    ],
)
def test_a_mask_of_another_length_is_refused(span: Span | None, count: int, which: str, make: Make) -> None:
    clip = read(make("clip.mkv", "-f", "lavfi", "-i", ramp(0, 20), *LOSSLESS), span=span)
    path = make("mask.mkv", "-f", "lavfi", "-i", ramp(0, count), *LOSSLESS)
    with pytest.raises(OptionError, match=f"has {which} frames than the input; a still serves all of them"):
        masks = Masks(path, clip, span)
        masks.take(20)
        masks.finish()


def test_a_still_serves_all_frames(make: Make, tmp_path: Path) -> None:
    Image.new("L", (32, 24), 77).save(tmp_path / "mask.png")
    clip = read(make("clip.mkv", "-f", "lavfi", "-i", ramp(0, 20), *LOSSLESS), span=(3, 9))
    masks = Masks(tmp_path / "mask.png", clip, (3, 9))
    assert [int(mask[0, 0]) for mask in masks.take(4) + masks.take(2)] == [77] * 6
    masks.finish()


def test_a_notice_of_a_mask_that_is_read_twice_comes_once(make: Make) -> None:
    clip = read(make("clip.mkv", "-f", "lavfi", "-i", ramp(0, 20), *LOSSLESS), span=(5, 15))
    path = make("mask.mjpeg", "-f", "lavfi", "-i", ramp(0, 20))
    events: list[Event] = []
    Masks(path, clip, (5, 15), events.append).take(10)
    assert ["stream of JPEGs" in str(event) for event in events] == [True]
