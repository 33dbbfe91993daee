"""What counts in a folder of frames, and what a new result must not take away."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import OutputError
from pnpvideo.report import content_hash
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.folder_entries import counted, kept
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer

LEFT = (".DS_Store", "Thumbs.db", "desktop.ini", "ehthumbs.db", "._0.png", ".directory", ".localized", "Icon\r")
INFO = ClipInfo(path=None, kind="still", width=8, height=8, frames=1)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of two frames."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8), (90, number, 0)).save(folder / f"{number}.png")
    return folder


def replace(folder: Path) -> None:
    with Writer(folder, INFO, overwrite=True) as writer:
        writer.append(np.zeros((8, 8, 3), np.uint8), 0)


@pytest.mark.skipif(os.name != "posix", reason="names that Windows does not allow")
def test_what_file_managers_leave_is_no_content_and_goes_with_the_folder(frames: Path) -> None:
    before = content_hash(frames)
    for name in LEFT:
        (frames / name).write_bytes(b"as it was shown")
    assert sorted(entry.name for entry in counted(frames)) == ["0.png", "1.png"] and kept(frames) == []
    assert read(frames).info.frames == 2 and content_hash(frames) == before
    replace(frames)
    assert os.listdir(frames) == ["000000.png"]


@pytest.mark.parametrize("name", [".notes.txt", ".git", "#recycle", "@eaDir", "thumbs.db/", "1.png/", "notes.txt"])
def test_what_may_be_needed_is_never_replaced(name: str, frames: Path) -> None:
    (frames / "1.png").unlink()
    place = frames / name.rstrip("/")
    if name.startswith(".n") or name == "notes.txt":
        place.write_text("a thesis")
    else:
        place.mkdir()
        (place / "thesis.tex").write_text("a thesis")
    assert kept(frames) == [place]
    with pytest.raises(OutputError, match=f"holds other things than frames, such as {place.name}; move them away"):
        replace(frames)
    assert sorted(os.listdir(frames)) == sorted(["0.png", place.name])


def test_a_folder_of_notes_alone_is_replaced_only_if_asked(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.DS_Store").touch()
    with pytest.raises(OutputError, match="exists; name another output, or replace it"):
        Writer(tmp_path / "out", INFO)
    replace(tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["000000.png"]
