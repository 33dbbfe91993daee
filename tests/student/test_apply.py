import io
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.errors import InputError, NotFiniteError, OutputError, PnPVideoError
from pnpvideo.events import Event, Progress
from pnpvideo.student.apply import Applier, apply, apply_raw
from pnpvideo.student.student_file import Student
from pnpvideo.video.ffmpeg import run
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read

from .conftest import pictures


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames of 48 x 32 pixels with sound."""
    path = tmp_path / "clip.mp4"
    sources = ["-f", "lavfi", "-i", "testsrc2=size=48x32:rate=12:duration=1", "-f", "lavfi", "-i", "sine=duration=1"]
    status, said = run([*sources, "-c:v", "libx264", "-c:a", "aac", "-shortest", str(path)], 30)
    assert status == 0, said
    return path


def test_every_frame_is_the_networks_own(student: Student, clip: Path, tmp_path: Path) -> None:
    apply(Applier(student, precision="float32"), clip, tmp_path / "out")
    applier = Applier(student, precision="float32")
    results = [frame.pixels for frame in read(tmp_path / "out").frames()]
    sources = list(read(clip).frames())
    assert len(results) == len(sources) == 12
    assert all(np.array_equal(result, applier(frame.pixels)) for result, frame in zip(results, sources, strict=True))


def test_frames_times_and_sound_stay(student: Student, clip: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    path = apply(
        Applier(student),
        clip,
        tmp_path / "out.mp4",
        report=lambda event: seen.append(event.done) if isinstance(event, Progress) else None,
    )
    before, after = probe(clip), probe(path)
    assert (after.frames, after.width, after.height, after.fps) == (12, 48, 32, before.fps) and after.audio
    assert seen == list(range(1, 13))


def test_the_sidecar_of_a_result_that_is_replaced_is_removed(student: Student, clip: Path, tmp_path: Path) -> None:
    """It would say how another result was made."""
    applier, sidecar, said = Applier(student), tmp_path / "out.mp4.json", list[Event]()
    apply(applier, clip, tmp_path / "out.mp4")
    sidecar.write_text('{"format": "pnpvideo run 1"}', "utf-8")
    with pytest.raises(OutputError, match="exists"):
        apply(applier, clip, tmp_path / "out.mp4")
    assert sidecar.exists()
    apply(applier, clip, tmp_path / "out.mp4", overwrite=True, report=said.append)
    assert not sidecar.exists() and "was the sidecar of the former result" in str(said)


def test_a_picture_keeps_its_size_and_alpha(student: Student, tmp_path: Path) -> None:
    pixels = np.dstack([pictures(1, (50, 34))[0], np.arange(34 * 50, dtype=np.uint32).reshape(34, 50) % 256])
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "in.png")
    apply(Applier(student), tmp_path / "in.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as result:
        assert result.size == (50, 34) and np.array_equal(np.asarray(result)[..., 3], pixels[..., 3])


def test_the_equation_of_one_picture(student: Student) -> None:
    picture = pictures(1)[0]
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    wanted = ((student.network(x) + 1) * 127.5).round().clamp(0, 255).byte()[0].permute(1, 2, 0).numpy()
    assert np.abs(Applier(student, precision="float32")(picture).astype(int) - wanted).max() <= 1
    half = Applier(student, precision="bfloat16")(picture)
    assert np.abs(half.astype(int) - wanted).mean() < 3


def test_nothing_is_written_where_the_network_fails(student: Student, clip: Path, tmp_path: Path) -> None:
    with torch.no_grad():
        student.network.head.weight.fill_(float("inf"))
    with pytest.raises(NotFiniteError, match="NaN or infinity"):
        apply(Applier(student), clip, tmp_path / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]


def test_an_output_that_exists_stays(student: Student, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"mine")
    with pytest.raises(OutputError):
        apply(Applier(student), clip, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"mine"


def test_a_damaged_clip_is_an_error_and_leaves_no_thread(student: Student, clip: Path, tmp_path: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:2000])
    before = threading.active_count()
    with pytest.raises(PnPVideoError):
        apply(Applier(student), clip, tmp_path / "out.mp4")
    assert threading.active_count() == before and not (tmp_path / "out.mp4").exists()


def test_raw_frames_go_through_a_pipe(student: Student) -> None:
    frames = pictures(3, (32, 48))
    sink = io.BytesIO()
    applier = Applier(student, precision="float32")
    assert apply_raw(applier, Trickle(frames.tobytes()), sink, (32, 48)) == 3
    results = np.frombuffer(sink.getvalue(), np.uint8).reshape(3, 48, 32, 3)
    assert all(np.array_equal(result, applier(frame)) for result, frame in zip(results, frames, strict=True))


def test_a_raw_frame_goes_out_before_the_next_one_comes_in(student: Student) -> None:
    """Otherwise a camera would be late by as many frames as are translated at once."""
    frames, (out, into), (after, made) = pictures(3, (32, 32)), os.pipe(), os.pipe()
    with open(out, "rb") as source, open(into, "wb") as camera, open(after, "rb") as screen, open(made, "wb") as sink:
        running = threading.Thread(target=apply_raw, args=(Applier(student), source, sink, (32, 32)))
        running.start()
        for frame in frames:
            camera.write(frame.tobytes())
            camera.flush()
            assert len(screen.read(frame.nbytes)) == frame.nbytes
        camera.close()
        running.join(30)
        assert not running.is_alive()


def test_half_a_raw_frame_is_an_error_after_the_whole_ones(student: Student) -> None:
    sink = io.BytesIO()
    with pytest.raises(InputError, match=r"end with 100 bytes of frame 2; a frame of 32 x 32 is 3072 bytes"):
        apply_raw(Applier(student), io.BytesIO(pictures(2).tobytes() + bytes(100)), sink, (32, 32))
    assert len(sink.getvalue()) == 2 * 32 * 32 * 3


class Trickle(io.BytesIO):
    """A pipe that gives at most a thousand bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 1000))


def test_the_size_can_be_chosen(student: Student) -> None:
    sizes: list[tuple[int, ...]] = []
    student.network.register_forward_pre_hook(lambda module, arguments: sizes.append(tuple(arguments[0].shape)))
    card = replace(student.card, size=(64, 32))
    Applier(Student(student.network, card))(pictures(1, (80, 40))[0])
    Applier(Student(student.network, card), size=16)(pictures(1, (80, 40))[0])
    assert sizes == [(1, 3, 32, 64), (1, 3, 16, 32)]
