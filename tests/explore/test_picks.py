"""A cell is found by the name of its sheet and its number."""

import json
from pathlib import Path

import pytest

from pnpvideo.errors import InputError, OptionError
from pnpvideo.explore.cells import FORMAT, Cell
from pnpvideo.explore.picks import pick


def sheet(folder: Path, *numbers: int, best: int | None = None) -> None:
    cells = [Cell(number=number, prompt=f"a {number}", values={"seed": number}).record() for number in numbers]
    record = {"format": FORMAT, "input": "/a.mp4", "input_sha256": None, "best": best, "cells": cells}
    (folder / "sheet.json").write_text(json.dumps(record))


@pytest.mark.parametrize("name", ["sheet.png#2", "sheet.json#2", "sheet#2"])
def test_a_cell_is_named_by_sheet_and_number(name: str, tmp_path: Path) -> None:
    sheet(tmp_path, 1, 2)
    (tmp_path / "sheet.png").write_bytes(b"")
    found = pick(tmp_path / name)
    assert (found.prompt, found.values, found.input) == ("a 2", {"seed": 2}, Path("/a.mp4"))
    assert found.options.origins["seed"] == f"pick {tmp_path / name}"


def test_a_file_with_one_cell_or_a_best_one_needs_no_number(tmp_path: Path) -> None:
    sheet(tmp_path, 7)
    assert pick(tmp_path / "sheet.json").prompt == "a 7"
    sheet(tmp_path, 1, 2, 3, best=2)
    assert pick(tmp_path / "sheet.json").prompt == "a 2" and pick(tmp_path / "sheet.json#3").prompt == "a 3"


def test_a_name_may_have_the_sign_itself(tmp_path: Path) -> None:
    (tmp_path / "take#1").mkdir()
    sheet(tmp_path / "take#1", 1)
    assert pick(tmp_path / "take#1" / "sheet.json").prompt == "a 1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sheet.png", "names no cell; add its number, 1 to 2"),
        ("sheet.png#", "names no cell"),
        ("sheet.png#3", "there is no cell '3'; accepted: 1 to 2"),
        ("sheet.png#-1", "there is no cell '-1'"),
        ("sheet.png#²", "there is no cell"),
    ],
)
def test_a_cell_that_is_not_there_is_refused(name: str, message: str, tmp_path: Path) -> None:
    sheet(tmp_path, 1, 2)
    with pytest.raises(OptionError, match=message):
        pick(tmp_path / name)


@pytest.mark.parametrize("name", ["other.png#1", "#1", "", "a\0b#1"])
def test_a_sheet_that_is_not_there_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="pick"):
        pick(name)


def test_another_input_is_noticed(tmp_path: Path) -> None:
    sheet(tmp_path, 1)
    found = pick(tmp_path / "sheet.json")
    assert found.difference(Path("/a.mp4")) is None
    assert "b.mp4 is not the file that" in (found.difference(tmp_path / "b.mp4") or "")
