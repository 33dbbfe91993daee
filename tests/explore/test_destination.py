"""A sheet, a record and a folder of cells go only where nothing else is lost."""

from pathlib import Path

import pytest

from pnpvideo.errors import OptionError, OutputError
from pnpvideo.explore.destination import check_cells_folder, check_plot, check_record, check_sheet


def test_what_is_there_is_only_replaced_if_asked(tmp_path: Path) -> None:
    sheet, source = tmp_path / "s.png", tmp_path / "in.mp4"
    source.write_bytes(b"")
    check_sheet(sheet, source, False)
    (tmp_path / "s.json").write_text("{}")
    with pytest.raises(OutputError, match=r"s\.json exists"):
        check_sheet(sheet, source, False)
    check_sheet(sheet, source, True)
    sheet.write_bytes(b"")
    with pytest.raises(OutputError, match=r"s\.png exists"):
        check_sheet(sheet, source, False)


@pytest.mark.parametrize("name", ["s.mp4", "s", "s.txt", "no/s.png"])
def test_a_sheet_is_a_picture_in_a_folder_that_exists(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"accepted|does not exist"):
        check_sheet(tmp_path / name, tmp_path / "in.mp4", False)


def test_the_record_is_json(tmp_path: Path) -> None:
    for name, message in (("t.txt", "accepted: .json"), ("no/t.json", "does not exist"), ("d.json", "no regular file")):
        (tmp_path / "d.json").mkdir(exist_ok=True)
        with pytest.raises(OutputError, match=message):
            check_record(tmp_path / name, True)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    check_cells_folder(folder, False)
    folder.mkdir()
    check_cells_folder(folder, False)
    (folder / "cell-1.json").write_text("{}")
    with pytest.raises(OutputError, match="exists; name another"):
        check_cells_folder(folder, False)
    check_cells_folder(folder, True)
    (folder / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"other things than cells, such as thesis\.tex"):
        check_cells_folder(folder, True)
    with pytest.raises(OutputError, match="no folder"):
        check_cells_folder(folder / "thesis.tex", True)
    with pytest.raises(OutputError, match="does not exist"):
        check_cells_folder(tmp_path / "no" / "cells", True)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux: nobody can create files in /proc")
def test_cells_need_a_folder_that_can_be_written_to() -> None:
    with pytest.raises(OutputError, match="its folder cannot be written to"):
        check_cells_folder(Path("/proc/self/cells"), False)


def test_a_plot_needs_matplotlib_and_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tune.json").write_text("{}")
    check_plot(tmp_path / "tune.png", tmp_path / "in.mp4", False)  # a record of that name does not matter
    with pytest.raises(OutputError, match="one picture"):
        check_plot(tmp_path / "tune.csv", tmp_path / "in.mp4", False)
    monkeypatch.setattr("pnpvideo.explore.destination.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install -c constraints.txt -e '\.\[plots\]'"):
        check_plot(tmp_path / "tune.png", tmp_path / "in.mp4", False)
