"""PIE-Bench: its files, its masks and its figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import InputError
from pnpvideo.events import Event, Notice, ignore
from pnpvideo.measure.judge import Judge, Tower
from pnpvideo.measure.suites.agreement import agreement
from pnpvideo.measure.suites.background import background_figures
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.lpips import Lpips
from pnpvideo.measure.suites.mask_runs import decode_runs, with_border
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.pie import KINDS, PIE, PUBLISHED, as_jpeg, measure_pie, read_pie
from pnpvideo.measure.suites.published import PublishedRow
from pnpvideo.measure.suites.structure import TensorInput, structure_between
from tests.measure.suites.conftest import picture, pie_row, write_pie


def test_rows_are_read_from_the_files_of_the_set(tmp_path: Path) -> None:
    rows = {
        "000": pie_row(),
        "001": pie_row(image_path="9_change_style_80/a/001.jpg", editing_type_id="9", mask=[0, 512 * 512]),
    }
    first, second = read_pie(write_pie(tmp_path, rows), ignore)
    assert first.prompt == "a blue ball on grass" and first.source_prompt == "a red ball on grass"
    assert first.name == "1_change_object_80/000" and first.kind == "change object"
    assert first.source == tmp_path / "annotation_images/1_change_object_80/000.jpg"
    assert first.mask is not None and first.mask.sum() == 600 and first.mask[100, 100] and not first.mask[100, 400]
    assert second.mask is not None and second.mask.all() and second.kind == KINDS[9] == "change style"
    assert first.place == "mapping_file.json, row '000'"
    (frame,) = first.frames(ignore)
    assert frame.shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mask": [5]}, "the mask has 1 values; accepted are pairs"),
        ({"mask": [0, -1]}, "value 1 of the mask is -1; accepted is a length from 0 on"),
        ({"mask": [512 * 512, 1]}, "value 0 of the mask is 262144; accepted is a start from 0 to 262143"),
        ({"mask": [0.5, 1]}, "value 0 of the mask is 0.5"),
        ({"mask": [True, 1]}, "value 0 of the mask is True"),
        ({"mask": ["0", "9"]}, "value 0 of the mask is '0'"),
        ({"mask": "0 9"}, "the mask is str; accepted is a list"),
        ({"mask": ...}, "the mask is NoneType"),
        ({"image_path": "../../secret.jpg"}, "is no path below the data's folder"),
        ({"image_path": "/nowhere/passwd.jpg"}, "is no path below the data's folder"),
        ({"image_path": ...}, "image_path is missing; the row has original_prompt"),
        ({"original_prompt": 3}, "original_prompt is 3; accepted is a text"),
        ({"editing_prompt": ["a"]}, "editing_prompt is ['a']; accepted is a text"),
        ({"editing_type_id": "10"}, "editing_type_id is '10'; accepted are 0 to 9"),
        ({"editing_type_id": ...}, "editing_type_id is ''"),
    ],
)
def test_a_wrong_row_is_one_line_that_names_it(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write_pie(tmp_path, {"a": pie_row(image_path="0/a.jpg"), "b\x1b7": pie_row(**changes)})
    with pytest.raises(InputError) as failed:
        read_pie(tmp_path, ignore)
    message = str(failed.value)
    assert message.startswith("mapping_file.json, row 'b\\") and said in message
    assert "\n" not in message and "\x1b" not in message


def test_a_missing_or_wrong_picture_is_named(tmp_path: Path) -> None:
    write_pie(tmp_path, {"a": pie_row()})
    path = tmp_path / "annotation_images/1_change_object_80/000.jpg"
    Image.new("RGB", (500, 512)).save(path)
    with pytest.raises(InputError, match=r"row 'a': 000.jpg is 500 x 512; accepted is 512 x 512"):
        read_pie(tmp_path, ignore)
    path.write_text("no picture")
    with pytest.raises(InputError, match=r"row 'a': 000.jpg is no picture"):
        read_pie(tmp_path, ignore)
    path.unlink()
    with pytest.raises(InputError, match=r"row 'a': 1_change_object_80/000.jpg is missing"):
        read_pie(tmp_path, ignore)


def test_keys_that_are_not_read_are_one_notice(tmp_path: Path) -> None:
    said: list[Event] = []
    rows = {name: pie_row(image_path=f"0/{name}.jpg", extra=1, more=2) for name in "abc"}
    assert len(read_pie(write_pie(tmp_path, rows), said.append)) == 3
    assert said == [Notice(message="mapping_file.json, row 'a': extra, more is not read, and 2 more rows")]


def test_lists_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mapping_file.json"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_pie(tmp_path, ignore)
    for text, said in {
        "[1, 2]": "row 1 is 1; accepted is a table",
        '{"a": 3}': "row 'a' is 3; accepted is a table",
        '"text"': "it is 'text'; accepted is a list of rows",
        '{"a": {}, "a": {}}': "'a' stands twice",
        "{": "is no list of rows: Expecting property name",
        "[" * 100_000: "is no list of rows: maximum recursion depth",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError) as failed:
            read_pie(tmp_path, ignore)
        assert said in str(failed.value) and "mapping_file" in str(failed.value), text


def test_a_run_ends_with_the_picture_and_the_border_counts_as_edited() -> None:
    mask = decode_runs([10, 2, 20, 100], side=5)
    assert mask.ravel().tolist() == [index in (10, 11, 20, 21, 22, 23, 24) for index in range(25)]
    bordered = with_border(mask)
    assert bordered[[0, -1]].all() and bordered[:, [0, -1]].all() and bordered.sum() == 16 + 1
    assert not mask[0].any()
    assert not decode_runs([], side=5).any()


@pytest.mark.parametrize("mode", [*Mode])
def test_figures_are_those_of_the_parts(tmp_path: Path, vit: Path, lpips_file: Path, mode: Mode) -> None:
    (row,) = read_pie(write_pie(tmp_path, {"a": pie_row(mask=[0, 512 * 500])}), ignore)
    judge, tower, lpips = Judge(), Tower.load(str(vit)), Lpips(lpips_file)
    source, result = picture(0), picture(1)
    seen = as_jpeg(result) if mode is Mode.COMPAT else result
    assert row.mask is not None
    region = with_border(row.mask) if mode is Mode.COMPAT else row.mask
    found = measure_pie(Judges(clip=judge, tower=tower, lpips=lpips), row, [source], [result], mode)
    expected = {
        **background_figures(source, seen, with_border(row.mask), mode, lpips),
        **structure_between(tower, source, seen, mode, TensorInput(levels=255.0)),
        **agreement(judge, seen, row.prompt, mode, region),
    }
    assert found == expected and set(found) == set(PIE.columns)


def test_what_no_judge_is_there_for_is_left_out(tmp_path: Path) -> None:
    (row,) = read_pie(write_pie(tmp_path, {"a": pie_row()}), ignore)
    assert set(measure_pie(Judges(), row, [picture(0)], [picture(1)], Mode.STRICT)) == {"psnr", "mse", "ssim"}


def test_jpeg_changes_a_picture_a_little() -> None:
    before = picture(2, 64)
    after = as_jpeg(before)
    assert after.shape == before.shape and 0 < np.abs(after.astype(int) - before).mean() < 5


def test_published_rows_have_a_figure_in_every_column() -> None:
    assert all(len(figures) == len(PIE.columns) for figures in PUBLISHED.values())
    first = PIE.published[0]
    assert isinstance(first, PublishedRow) and first.figures["psnr"] == 22.28 and "2310.01506" in first.source
