"""A place where no comparison can go is known before anything is read."""

import os
from pathlib import Path

import pytest

from pnpvideo.compare.destination import check_output, is_page
from pnpvideo.compare.options import ComparisonOptions
from pnpvideo.errors import OptionError, OutputError


def test_pages_are_known_by_their_extension() -> None:
    assert [is_page(Path(name)) for name in ("a.html", "a.HTM", "a.mp4", "html", "a.html/")] == [
        True,
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing/page.html", "make it first"),
        ("folder.html", "no regular file"),
        ("taken.html", "replace it: -y"),
        ("side.pdf", "cannot write .pdf"),
        ("taken.mp4", "replace it: -y"),
    ],
)
def test_a_place_where_nothing_can_go_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.html").mkdir()
    for taken in ("taken.html", "taken.mp4"):
        (tmp_path / taken).touch()
    with pytest.raises(OutputError, match=said):
        check_output(tmp_path / name, [tmp_path / "a.mp4"], ComparisonOptions())


def test_what_may_be_replaced_and_what_is_new_passes(tmp_path: Path) -> None:
    (tmp_path / "taken.html").touch()
    check_output(tmp_path / "taken.html", [tmp_path / "a.mp4"], ComparisonOptions(overwrite=True, prompt="a"))
    check_output(tmp_path / "new.mp4", [tmp_path / "a.mp4"], ComparisonOptions())
    assert os.listdir(tmp_path) == ["taken.html"]


def test_a_clip_has_no_prompt(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="write a page"):
        check_output(tmp_path / "a.mp4", [], ComparisonOptions(prompt="a"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written to"):
        check_output(tmp_path / "a.html", [], ComparisonOptions())
