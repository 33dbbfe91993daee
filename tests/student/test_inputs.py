from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import InputError
from pnpvideo.events import Event, Notice, ignore
from pnpvideo.student.inputs import read_pictures
from pnpvideo.video.ffmpeg import run

from .conftest import pictures


def test_stills_and_frames_of_clips_come_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.png", "b/a.png", ".hidden.png"):
        Image.fromarray(pictures(1)[0]).save(tmp_path / name)
    source = ["-f", "lavfi", "-i", "testsrc2=size=32x32:rate=10:duration=1"]
    assert run([*source, "-c:v", "libx264", str(tmp_path / "a.mp4")], 30)[0] == 0
    found = list(read_pictures(tmp_path, (32, 32), 3, ignore))
    assert [picture.name for picture in found] == ["a.mp4#0", "a.mp4#4", "a.mp4#9", "b/a.png", "c.png"]
    assert np.array_equal(found[-1].pixels, pictures(1)[0])
    assert not np.array_equal(found[0].pixels, found[2].pixels)


def test_hidden_folders_above_the_inputs_hide_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is hidden inside the inputs is left out: not where they are, and not how their path is written."""
    inputs, beside = tmp_path / ".project" / "in", tmp_path / ".project" / "work"
    for folder in (inputs / ".cache", beside):
        folder.mkdir(parents=True)
    for name in ("a.png", ".cache/b.png"):
        Image.fromarray(pictures(1)[0]).save(inputs / name)
    monkeypatch.chdir(beside)
    for path in (inputs, Path("../in")):
        assert [picture.name for picture in read_pictures(path, (32, 32), 1, ignore)] == ["a.png"]


def test_what_cannot_be_read_is_said_and_left_out_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    Image.fromarray(pictures(1, (64, 64))[0]).save(tmp_path / "a.png")
    events: list[Event] = []
    found = list(read_pictures(tmp_path, (32, 32), 1, events.append))
    assert [picture.pixels.shape for picture in found] == [(32, 32, 3)]
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.message.startswith("left out: ") and "notes.txt" in notice.message


def test_one_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError):
        list(read_pictures(tmp_path / "notes.txt", (32, 32), 1, ignore))
    with pytest.raises(InputError, match="does not exist; name a picture, a clip, or a folder"):
        list(read_pictures(tmp_path / "none", (32, 32), 1, ignore))
