"""Where a result may go."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import OutputError
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.destination import (
    check_existing,
    check_folder,
    check_output,
    describe_output,
    make_folder,
    resolve_output,
)
from pnpvideo.video.formats import FORMATS, format_of
from pnpvideo.video.write import Writer

STILL = ClipInfo(path=None, kind="still", width=8, height=8, frames=1)


@pytest.mark.parametrize(("text", "suffix"), [("a.mp4", ".mp4"), ("a.PNG", ".png"), ("frames", ""), ("a.mp4/", "")])
def test_the_extension_chooses_the_format_and_a_separator_a_folder(text: str, suffix: str) -> None:
    path, form = resolve_output(text)
    assert path == Path(text) and form is FORMATS[suffix]


@pytest.mark.parametrize("text", ["", "a\0b.mp4", "a.xyz", "a.tar.gz"])
def test_names_that_cannot_be_written_are_refused(text: str) -> None:
    with pytest.raises(OutputError, match="accepted"):
        resolve_output(text)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_folder_that_is_named_by_a_link_or_by_its_child_is_the_folder_itself(tmp_path: Path) -> None:
    for name in ("frames.v2", "frames.v2/sub"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "frames.v2")
    for text in ("link", "link/", "frames.v2/sub/.."):
        assert resolve_output(f"{tmp_path}/{text}") == (tmp_path / "frames.v2", FORMATS[""])
    with Writer(tmp_path / "frames.v2/sub/", STILL) as writer:  # an empty folder may be replaced
        writer.append(np.zeros((8, 8, 3), np.uint8), 0)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").symlink_to(tmp_path / "empty")
    with Writer(tmp_path / "other", STILL) as writer:
        writer.append(np.zeros((8, 8, 3), np.uint8), 0)
    assert os.listdir(tmp_path / "empty") == ["000000.png"] and (tmp_path / "other").is_symlink()


@pytest.mark.parametrize("text", [".", "./", "../{here}", "{here}/sub/.."])
def test_the_current_folder_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here/sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputError, match="is the current folder, which cannot be replaced; name another"):
        resolve_output(text.replace("{here}/sub", str(tmp_path / "here/sub")).format(here="here"))


def test_what_names_an_output_again_keeps_the_slash_of_a_folder_with_an_extension() -> None:
    for text in ("frames", "frames.v2/", "a.mp4"):
        assert describe_output(*resolve_output(text)) == text


def test_the_message_of_an_unknown_extension_lists_the_table() -> None:
    with pytest.raises(OutputError, match=r"cannot write \.avi; accepted are .*\.mp4.*\.webp, or a name without"):
        format_of(Path("a.avi"))


def test_only_files_and_folders_of_frames_may_be_replaced(tmp_path: Path) -> None:
    folder, form = tmp_path / "frames", FORMATS[""]
    check_existing(folder, form, overwrite=False)
    folder.mkdir()
    check_existing(folder, form, overwrite=False)
    Image.new("RGB", (4, 4)).save(folder / "0.png")
    with pytest.raises(OutputError, match="exists; name another output, or replace it: -y"):
        check_existing(folder, form, overwrite=False)
    check_existing(folder, form, overwrite=True)
    (folder / "notes.txt").write_text("x")
    with pytest.raises(OutputError, match="holds other things than frames"):
        check_existing(folder, form, overwrite=True)
    with pytest.raises(OutputError, match="is no regular file"):
        check_existing(folder, FORMATS[".mp4"], overwrite=True)
    with pytest.raises(OutputError, match="is no folder"):
        check_existing(folder / "0.png", form, overwrite=True)


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        ("a.png", {"frames": 2}, "holds one picture, the input is a clip"),
        ("a.webp", {"width": 16384}, "holds up to 16383 pixels a side"),
        ("a.gif", {"fps": Fraction(60)}, r"60 frames a second are beyond what \.gif can time \(50\)"),
        ("gone/a.png", {}, "does not exist; make it first"),
        ("a" * 300 + ".png", {}, "the name is too long"),
    ],
)
def test_a_format_that_cannot_hold_the_clip_is_refused(
    name: str, changes: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    info = ClipInfo(**{"path": None, "kind": "still", "width": 8, "height": 8, "frames": 1, **changes})  # type: ignore[arg-type]
    with pytest.raises(OutputError, match=complaint):
        check_output(tmp_path / name, info)


def test_a_fitting_output_is_accepted_and_nothing_is_written(tmp_path: Path) -> None:
    check_output(tmp_path / "a.png", STILL)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_for_results_is_made_with_those_above_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "a/b", tmp_path / "a/b"):
        make_folder(folder)
        assert folder.is_dir()
    for folder in (tmp_path / "file", tmp_path / "file/a/b"):
        with pytest.raises(OutputError, match="file is no folder; name another output"):
            make_folder(folder)
    check_folder(tmp_path / "c/d")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "file"]
