"""Clips beside each other in one clip, with the times and the sound of the source."""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.compare import ComparisonOptions
from pnpvideo.compare.side import write_side_by_side
from pnpvideo.errors import OptionError, OutputError
from pnpvideo.events import ignore
from pnpvideo.video.ffmpeg import executable
from pnpvideo.video.read import read
from tests.compare.conftest import Notices
from tests.compare.pictures import plain

MakeFolder = Callable[..., Path]


def frames_of(path: Path) -> list[np.ndarray]:
    return [frame.pixels for frame in read(path).frames()]


def greys(path: Path, x: int) -> list[int]:
    """The grey of each frame at the bottom, in column x."""
    return [int(round(int(frame[-6, x, 1]), -1)) for frame in frames_of(path)]


def test_clips_stand_beside_each_other_under_their_names(folder_of: MakeFolder, tmp_path: Path) -> None:
    source, result = folder_of("source", plain(3, 96, 64)), folder_of("result", plain(3, 96, 64, step=30))
    made = write_side_by_side(source, [result], tmp_path / "side.mp4", report=ignore)
    assert made.output == tmp_path / "side.mp4" and made.moments == 3 and made.bytes == made.output.stat().st_size
    pictures = frames_of(made.output)
    assert pictures[0].shape == (64 + 18, 96 + 8 + 96, 3)
    assert greys(made.output, 48) == [20, 40, 60] and greys(made.output, 150) == [20, 50, 80]
    band = pictures[0][:18]
    assert band[:, :96].max() > 150 and band[:, 104:].max() > 150, "both have a label"
    assert pictures[0][30:, 98:102].max() < 40, "there is a gap"


def test_times_and_sound_are_the_sources(tmp_path: Path) -> None:
    source, result = tmp_path / "source.mp4", tmp_path / "result.mp4"
    pictures = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=0.5"]
    sound = ["-f", "lavfi", "-i", "sine=duration=0.5"]
    command = [executable(), "-v", "error", *pictures]
    subprocess.run([*command, *sound, "-pix_fmt", "yuv420p", "-c:a", "aac", f"file:{source}"], check=True)
    subprocess.run([*command, "-vf", "negate", "-pix_fmt", "yuv420p", f"file:{result}"], check=True)
    write_side_by_side(source, [result], tmp_path / "side.mkv", report=ignore)
    side = read(tmp_path / "side.mkv")
    assert [track.codec for track in side.info.audio] == ["aac"]
    assert [frame.pts_seconds for frame in side.frames()] == [Fraction(number, 10) for number in range(5)]


def test_other_sizes_are_scaled_to_the_sources_height_and_that_is_said(
    folder_of: MakeFolder, tmp_path: Path, notices: Notices
) -> None:
    source, result = folder_of("source", plain(1, 64, 48)), folder_of("result", plain(1, 200, 100))
    write_side_by_side(source, [result], tmp_path / "side.png", report=notices)
    assert frames_of(tmp_path / "side.png")[0].shape == (48 + 18, 64 + 8 + 96, 3)
    assert notices.said == ["result is 200 x 100, shown at 96 x 48"]


def test_another_rate_is_aligned_by_time(folder_of: MakeFolder, tmp_path: Path, notices: Notices) -> None:
    source, fast = folder_of("source", plain(3)), folder_of("fast", plain(6), 20)
    write_side_by_side(source, [fast], tmp_path / "side.mp4", report=notices)
    assert greys(tmp_path / "side.mp4", 60) == [20, 60, 100]


def test_what_ends_early_stays_and_what_goes_on_is_left_out(
    folder_of: MakeFolder, tmp_path: Path, notices: Notices
) -> None:
    source, short = folder_of("source", plain(4)), folder_of("short", plain(2))
    long = folder_of("long", plain(6))
    write_side_by_side(source, [short, long], tmp_path / "side.mp4", report=notices)
    assert greys(tmp_path / "side.mp4", 60) == [20, 40, 40, 40]
    assert greys(tmp_path / "side.mp4", 100) == [20, 40, 60, 80]
    assert notices.said == [
        "short ends before source and stays on its last frame",
        "long goes on when source ends; the rest of it is left out",
    ]


def test_a_still_source_stays_while_the_result_moves(folder_of: MakeFolder, tmp_path: Path, notices: Notices) -> None:
    Image.new("RGB", (32, 24), (90, 90, 90)).save(tmp_path / "still.png")
    write_side_by_side(tmp_path / "still.png", [folder_of("b", plain(3))], tmp_path / "side.gif", report=notices)
    assert greys(tmp_path / "side.gif", 10) == [90, 90, 90] and greys(tmp_path / "side.gif", 60) == [20, 40, 60]
    assert notices.said == []


def test_single_pixels_and_transparency_are_shown(folder_of: MakeFolder, tmp_path: Path) -> None:
    clear = np.zeros((1, 1, 4), np.uint8)
    folder = folder_of("clear", [clear])
    write_side_by_side(folder, [folder], tmp_path / "side.png", report=ignore)
    assert frames_of(tmp_path / "side.png")[0][-1, 0].tolist() == [255, 255, 255]


def test_an_output_that_is_there_or_is_an_input_is_refused(folder_of: MakeFolder, tmp_path: Path) -> None:
    source, taken = folder_of("source", plain(1)), tmp_path / "side.png"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"side\.png exists"):
        write_side_by_side(source, [source], taken, report=ignore)
    result = folder_of("result", plain(1))
    with pytest.raises(OutputError, match="is the input itself"):
        write_side_by_side(source, [result], result, ComparisonOptions(overwrite=True), report=ignore)
    with pytest.raises(OptionError, match="write a page"):
        write_side_by_side(source, [result], tmp_path / "b.png", ComparisonOptions(prompt="a"), report=ignore)
    assert taken.read_bytes() == b"mine"


def test_a_result_of_a_span_stands_beside_the_frames_it_was_made_from(folder_of: MakeFolder, tmp_path: Path) -> None:
    source, result = folder_of("source", plain(8)), folder_of("result", plain(3))
    (tmp_path / "result.json").write_text('{"prompt": "a", "options": {"frames": [4, 7]}}')
    write_side_by_side(source, [result], tmp_path / "side.mp4", report=ignore)
    assert greys(tmp_path / "side.mp4", 10) == [100, 120, 140] and greys(tmp_path / "side.mp4", 60) == [20, 40, 60]
