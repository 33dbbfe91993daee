"""Idle workers help where there are windows left; what all of them have done of a row is added up."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pnpvideo.batch.division import (
    BEFORE_WRITING,
    Divisions,
    RowShare,
    Underway,
    row_to_help,
    windows_of,
    workers_wanted,
)
from pnpvideo.batch.rows import Row
from pnpvideo.settings.options import Options


def row(number: int, input: Path | None = None, **values: object) -> Row:
    options = Options.from_flat({"model": "sd15", **values})
    return Row(number=number, place=f"row {number}", input=input, prompt="a fox", output="out.mp4", options=options)


@pytest.mark.parametrize(("frames", "windows"), [(6, 1), (7, 2), (13, 3)])
def test_a_clip_has_a_window_for_as_many_frames(frames: int, windows: int, clip_of: Callable[..., Path]) -> None:
    assert windows_of(row(1, clip_of(frames), window=4)) == windows


def test_what_cannot_be_divided_has_one_window(tmp_path: Path, clip_of: Callable[..., Path]) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    (tmp_path / "bad.mp4").write_bytes(b"no clip")
    assert windows_of(row(1, tmp_path / "a.png", window=1)) == 1
    assert windows_of(row(1, tmp_path / "bad.mp4")) == windows_of(row(1, tmp_path / "none.mp4")) == 1
    assert windows_of(row(1, None, generate=True, source_prompt="a fox")) == 1
    assert windows_of(row(1, clip_of(9), window=4, frames=(0, 5))) == 1


def test_an_idle_worker_helps_where_most_windows_wait_for_each() -> None:
    short, long = Underway(row(1), 3, 1), Underway(row(2), 40, 8)
    assert row_to_help([short, long], None) is long.row
    assert row_to_help([short, Underway(row(2), 40, 30)], None) is short.row
    assert row_to_help([Underway(row(1), 1, 1), Underway(row(2), 9, 2, open=False)], None) is None
    assert row_to_help([], None) is None


def test_a_worker_stays_with_its_model() -> None:
    other, own = Underway(row(1, model="sdxl"), 90, 1), Underway(row(2), 2, 1)
    assert row_to_help([other, own], own.row.options.model_key) is own.row
    assert row_to_help([other], own.row.options.model_key) is other.row


def test_as_many_workers_are_wanted_as_there_are_windows() -> None:
    assert workers_wanted([1, 4], [Underway(row(3), 5, 2), Underway(row(4), 9, 1, open=False)]) == 8
    assert workers_wanted([], [Underway(row(1), 2, 5)]) == 0


def test_a_row_takes_helpers_until_all_windows_are_claimed_and_again_when_one_is_lost(
    clip_of: Callable[..., Path],
) -> None:
    clip, divisions = row(1, clip_of(9), window=4), Divisions(most_losses=2)
    divisions.begun(clip)
    assert divisions.underway(clip, 1).room == 1
    divisions.helped(clip)
    assert divisions.underway(clip, 1).room == 0
    divisions.lost(clip)
    assert divisions.underway(clip, 1).room == 1
    divisions.lost(clip)  # it ends all that help
    assert divisions.underway(clip, 1).room == 0
    divisions.begun(clip)
    assert divisions.underway(clip, 1).room == 1


def test_the_share_of_a_row_is_what_all_have_done_and_never_falls() -> None:
    share = RowShare()
    assert share.heard(None, 0.2) == 0.2
    assert share.heard("a", 0.3) == share.heard("b", 0.0) == pytest.approx(0.5)
    assert share.heard("b", 0.4) == pytest.approx(0.9)
    assert share.heard("a", 0.5) == BEFORE_WRITING  # it is not done before it is written
    assert share.heard(None, 0.3) == BEFORE_WRITING
    assert share.heard(None, 1.0) == 1.0
    assert Divisions(3).heard(row(1), None, 0.25) == 0.25
