"""The picture of an unfinished translation: written while it runs, and without any effect on the result."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import OutputError
from pnpvideo.events import Event, Notice, StepPicture
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.video.read import read
from pnpvideo.video.step_picture import StepPictureFile, step_picture_path

Clips = Callable[..., Path]
MakeOptions = Callable[..., Options]


def picture(value: int) -> StepPicture:
    return StepPicture(picture=np.full((8, 8, 3), value, np.uint8), step=1, steps=2, shot=1, window=1, seconds=0.0)


def test_the_result_is_the_same_to_the_byte(
    clip_of: Clips, options: MakeOptions, calls: list[int], tmp_path: Path
) -> None:
    clip, events = clip_of(4), list[Event]()
    translate(clip, "a fox", tmp_path / "a.mp4", options(steps=3, store=tmp_path / "one"))
    plain, seen = sum(calls), list[np.ndarray]()

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepPicture):
            with Image.open(tmp_path / "b-preview.png") as written:
                seen.append(np.asarray(written))

    chosen = options(steps=3, store=tmp_path / "two", preview_every=1)
    translate(clip, "a fox", tmp_path / "b.mp4", chosen, report=listen)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert sum(calls) == 2 * plain  # no evaluation more
    shown = [event for event in events if isinstance(event, StepPicture)]
    assert [(event.step, event.steps, event.shot, event.window, event.seconds) for event in shown] == [
        (1, 3, 1, 1, pytest.approx(1 / 6)),
        (2, 3, 1, 1, pytest.approx(1 / 6)),
    ]
    assert [one.shape for one in seen] == [(64, 96, 3)] * 2 and not np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize("method", ["pnp", "sdedit"])
def test_late_pictures_come_near_the_result(method: str, clip_of: Clips, options: MakeOptions, tmp_path: Path) -> None:
    events: list[Event] = []
    chosen = options(steps=4, method=method, source_prompt="a hen", preview_every=1, window=2)
    translate(clip_of(3), "a hen", tmp_path / "out", chosen, report=events.append)
    shown = [event for event in events if isinstance(event, StepPicture) and (event.shot, event.window) == (1, 1)]
    result = [frame.pixels for frame in read(tmp_path / "out").frames()][1]
    small = np.asarray(Image.fromarray(result).resize(shown[0].picture.shape[1::-1], Image.Resampling.BOX)).astype(int)
    errors = [float(np.abs(event.picture - small).mean()) for event in shown]
    assert errors[-1] < 6.0 and errors[-1] <= errors[0]


def test_a_file_that_cannot_be_written_does_not_end_the_run(tmp_path: Path) -> None:
    events: list[Event] = []
    folder = tmp_path / "there"
    folder.mkdir()
    listener = StepPictureFile(folder / "p.png", (16, 16), events.append)
    listener(picture(3))
    with Image.open(folder / "p.png") as written:
        assert written.size == (16, 16)
    (folder / "p.png").unlink()
    folder.rmdir()
    folder.write_bytes(b"")
    listener(picture(4))
    listener(picture(5))
    said = [event.message for event in events if isinstance(event, Notice)]
    assert len(said) == 1 and "goes on without pictures" in said[0]
    assert len([event for event in events if isinstance(event, StepPicture)]) == 3


def test_the_file_is_beside_the_output_and_is_no_other(tmp_path: Path) -> None:
    source, output = tmp_path / "in.png", tmp_path / "out.mp4"
    assert step_picture_path(None, output, source) == tmp_path / "out-preview.png"
    assert step_picture_path(None, tmp_path / "frames", source) == tmp_path / "frames-preview.png"
    assert step_picture_path(tmp_path / "a.jpg", output, source) == tmp_path / "a.jpg"
    for wrong, message in (
        (source, "the input itself"),
        (output, "accepted"),
        (tmp_path / "a", "accepted"),
        (tmp_path / "no" / "a.png", "does not exist"),
    ):
        with pytest.raises(OutputError, match=message):
            step_picture_path(wrong, output, source)
    with pytest.raises(OutputError, match="the output itself"):
        step_picture_path(tmp_path / "o.png", tmp_path / "o.png", source)
    (tmp_path / "dir.png").mkdir()
    with pytest.raises(OutputError, match="no regular file"):
        step_picture_path(tmp_path / "dir.png", output, source)
