"""Clips are read for a page: each picture once, within limits that are said."""

import base64
import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.compare import media
from pnpvideo.compare.clips import open_clips
from pnpvideo.compare.media import read_media
from tests.compare.conftest import Notices
from tests.compare.pictures import plain

MakeFolder = Callable[..., Path]


def test_equal_neighbours_share_a_picture(folder_of: MakeFolder, notices: Notices) -> None:
    first, second = plain(2)
    source = folder_of("held", [first, first, second, first])
    (held, _) = read_media(open_clips(source, [source], None, notices), 100, notices)
    assert held.numbers == (0, 0, 1, 2) and len(held.pictures) == len(held.measured) == 3
    assert held.times == tuple(Fraction(number, 10) for number in range(4)) and held.end_seconds == Fraction(4, 10)
    assert notices.said == []
    pictures = [Image.open(io.BytesIO(base64.b64decode(line))) for line in held.base64.split("\n")]
    assert [picture.format for picture in pictures] == ["WEBP"] * 3
    assert abs(int(np.asarray(pictures[1])[0, 0, 0]) - 40) <= 2


def test_wide_pictures_are_scaled_and_that_is_said(folder_of: MakeFolder, notices: Notices) -> None:
    wide, small = folder_of("wide", plain(1, 640, 320)), folder_of("small", plain(1, 64, 32))
    read = read_media(open_clips(wide, [small], None, notices), 320, notices)
    assert [(each.width, each.height) for each in read] == [(320, 160), (64, 32)]
    assert read[0].measured[0].shape == (160, 320, 3)
    assert notices.said == ["wide is 640 x 320, shown at 320 x 160; --width N changes that"]


def test_a_long_clip_is_cut_for_all_and_that_is_said(
    folder_of: MakeFolder, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "MOST_FRAMES", 4)
    fast, slow = folder_of("fast", plain(6), fps=20), folder_of("slow", plain(3), fps=10)
    read = read_media(open_clips(slow, [fast], None, notices), 100, notices)
    assert [len(each.times) for each in read] == [2, 4]
    assert all(each.end_seconds == Fraction(1, 5) for each in read)
    assert [len(each.pictures) for each in read] == [2, 4]
    assert notices.said == [
        "a page holds up to 4 frames of a clip: the first 0.200 s are shown; --frames A:B shows others"
    ]


def test_a_span_keeps_the_numbers_of_the_source(folder_of: MakeFolder, notices: Notices) -> None:
    source = folder_of("source", plain(5))
    assert [each.first for each in read_media(open_clips(source, [source], (2, 4), notices), 100, notices)] == [2, 2]


def test_alpha_stays_in_the_picture_and_counts_as_white_when_measured(folder_of: MakeFolder, notices: Notices) -> None:
    clear = np.zeros((24, 32, 4), np.uint8)
    folder = folder_of("clear", [clear])
    (read, _) = read_media(open_clips(folder, [folder], None, notices), 100, notices)
    assert Image.open(io.BytesIO(read.pictures[0])).mode == "RGBA"
    assert read.measured[0].min() == 255


def test_formats_are_named(folder_of: MakeFolder, notices: Notices, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    sample = Path(__file__).parents[2] / "samples/ball.mp4"
    clips = open_clips(sample, [tmp_path / "a.png", folder_of("b", plain(1))], (0, 1), notices)
    assert [each.format for each in read_media(clips, 100, notices)] == ["h264 in mov", "PNG", "folder of pictures"]
