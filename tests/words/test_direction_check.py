"""Files that cannot be directions, told without opening them."""

from pathlib import Path

import pytest

from pnpvideo.errors import InputError
from pnpvideo.words.direction_check import LARGEST, check_direction_file


def test_a_file_of_a_direction_s_size_passes(tmp_path: Path) -> None:
    with (tmp_path / "d.pt").open("wb") as file:
        file.truncate(LARGEST)  # no disk is used
    check_direction_file(tmp_path / "d.pt")


def test_a_missing_file_a_folder_and_a_large_one_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "d.pt").open("wb") as file:
        file.truncate(LARGEST + 1)
    for path, complaint in (
        (tmp_path / "d.pt", "256 MiB"),
        (tmp_path, "is no file"),
        (tmp_path / "none", "is no file"),
    ):
        with pytest.raises(InputError, match=complaint):
            check_direction_file(path)
