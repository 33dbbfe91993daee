"""What a path holds, told by its first bytes."""

import os
from pathlib import Path

import pytest
from PIL import Image

from pnpvideo.errors import InputError
from pnpvideo.video.input_file import recognise


def test_a_folder_a_video_and_a_picture_are_told_apart(tmp_path: Path) -> None:
    video, picture = tmp_path / "a.mp4", tmp_path / "a.png"
    video.write_bytes(b"\0\0\0\x18ftypisom")
    Image.new("RGB", (4, 4)).save(picture)
    folder = recognise(tmp_path)
    assert (folder.demuxer, folder.picture, folder.head) == (None, None, b"")
    assert (recognise(video).demuxer, recognise(video, track=1).demuxer) == ("mov", "mov")
    found = recognise(picture)
    assert found.demuxer is None and found.picture is not None and found.picture.name == "PNG"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.mp4", b"", "is empty"),
        ("a.mp4", b"words " * 50, "is no video"),
        ("a.mp4", b"\x89PNG\r\n\x1a\n" + bytes(99), "holds a picture, not a video"),
        ("a.png", b"\0\0\0\x18ftypisom", "holds a video"),
        ("a.mp4", b"\0\0\0\x18ftypheic", "HEIC"),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        recognise(tmp_path / name)


def test_a_track_of_what_has_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave --track out"):
        recognise(tmp_path, track=0)


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_pipe_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="not a regular file"):
        recognise(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="does not exist"):
        recognise(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="cannot be opened"):
        recognise(tmp_path / ("n" * 300))
