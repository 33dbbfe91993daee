"""Stills, animations, folders: opened directly, and told apart by their first bytes."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import InputError
from pnpvideo.events import Event, ignore
from pnpvideo.video import avif, containers, picture_formats
from pnpvideo.video.animation import Animation, open_picture
from pnpvideo.video.dpx_exr import StudioPicture
from pnpvideo.video.folder import Folder
from pnpvideo.video.picture_formats import PictureFormat
from pnpvideo.video.pillow_reader import FileWarnings
from pnpvideo.video.source import Source, open_source
from pnpvideo.video.stills import Still, has_alpha
from pnpvideo.video.stream import VideoStream

Make = Callable[..., Path]


def form_of(path: Path) -> PictureFormat:
    form = picture_formats.of_file(path)
    assert form is not None
    return form


def save(path: Path, count: int = 1, duration: int = 100) -> Path:
    first, *rest = [Image.new("RGB", (6, 4), (60 * k, 0, 0)) for k in range(count)]
    if rest:
        first.save(path, save_all=True, append_images=rest, duration=duration)
    else:
        first.save(path)
    return path


def opened(path: Path, *, track: int | None = None) -> Source:
    return open_source(path, track=track, allow_partial=False, patience_seconds=30, report=ignore)


def test_the_kind_of_a_source_is_told_by_what_it_holds(tmp_path: Path, make: Make) -> None:
    assert isinstance(opened(save(tmp_path / "a.png")), Still)
    assert isinstance(opened(save(tmp_path / "a.gif", 3)), Animation)
    (tmp_path / "frames").mkdir()
    save(tmp_path / "frames" / "0.png")
    assert isinstance(opened(tmp_path / "frames"), Folder)
    video = make("a.mkv", "-f", "lavfi", "-i", "testsrc=s=16x16:r=5:d=0.4", "-c:v", "ffv1")
    assert isinstance(opened(video), VideoStream)
    for path in (tmp_path / "a.png", tmp_path / "frames"):
        with pytest.raises(InputError, match="has no tracks to choose from"):
            opened(path, track=0)
    video.rename(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"holds a video \(matroska\), not a picture"):
        opened(tmp_path / "b.png")
    (tmp_path / "a.png").rename(tmp_path / "b.mkv")
    with pytest.raises(InputError, match="holds a picture, not a video"):
        opened(tmp_path / "b.mkv")


def test_a_still_is_one_frame_of_a_25th_of_a_second(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    still = Still.open(path, form_of(path), FileWarnings(ignore))
    assert still.edges() == [0, Fraction(1, 25)] and (still.info.width, still.info.height) == (6, 4)
    assert still.pixels(alpha=True)[..., 3].min() == 255 and still.pixels(alpha=False).shape == (4, 6, 3)
    assert [frame.index for frame in still.frames()] == [0]


def test_alpha_is_a_channel_or_a_transparent_colour() -> None:
    palette = Image.new("P", (2, 2))
    assert not has_alpha(palette)
    palette.info["transparency"] = 0
    assert has_alpha(palette) and has_alpha(Image.new("LA", (2, 2))) and not has_alpha(Image.new("L", (2, 2)))


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.avif"])
def test_an_animations_edges_add_up_its_delays(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / name, 4)
    animation = open_picture(path, form_of(path), FileWarnings(ignore), 30)
    assert isinstance(animation, Animation)
    assert animation.edges() == [Fraction(k, 10) for k in range(5)]
    frames = list(animation.frames(1, 3))
    assert [(frame.index, frame.pts_seconds) for frame in frames] == [(1, 0), (2, Fraction(1, 10))]
    assert abs(int(frames[1].pixels[0, 0, 0]) - 120) <= 4


@pytest.mark.parametrize(("delay", "shown"), [(10, Fraction(1, 10)), (20, Fraction(1, 50)), (0, Fraction(1, 10))])
def test_a_delay_of_a_gif_that_viewers_do_not_honour_is_a_tenth_of_a_second(
    delay: int, shown: Fraction, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.gif", 2, delay)
    animation = open_picture(path, form_of(path), FileWarnings(ignore), 30)
    assert animation.edges()[1] == shown


def test_a_folder_is_in_natural_order_and_counts_24_a_second(tmp_path: Path) -> None:
    for name in ("f10.png", "f9.png", "F1.png", "._f9.png", "Thumbs.db"):
        save(tmp_path / "x.png").rename(tmp_path / name)
    folder = Folder.open(tmp_path, FileWarnings(ignore))
    assert [member.path.name for member in folder.members] == ["F1.png", "f9.png", "f10.png"]
    assert folder.edges() == [Fraction(k, 24) for k in range(4)]
    assert [frame.index for frame in folder.frames(1, 3)] == [1, 2]


def test_the_durations_of_an_avif_are_exact(tmp_path: Path, make: Make) -> None:
    path = make(
        "a.avif", "-f", "lavfi", "-i", "testsrc=s=64x48:r=24000/1001:d=0.2", "-c:v", "libaom-av1", "-cpu-used", "8"
    )
    assert set(avif.frame_durations(path.read_bytes()) or ()) == {Fraction(1001, 24000)}
    assert avif.frame_durations(b"") is None
    assert avif.frame_durations(save(tmp_path / "a.png").read_bytes()) is None
    texts: list[str] = []
    avif.warn_of_hdr(path, texts.append)
    assert texts == []


def test_a_dpx_is_described_by_its_header(make: Make) -> None:
    path = make("a.dpx", "-f", "lavfi", "-i", "color=gray:s=16x8", "-frames:v", "1", "-pix_fmt", "rgba")
    picture = StudioPicture.open(path, form_of(path))
    assert (picture.width, picture.height, picture.alpha, picture.demuxer) == (16, 8, True, "dpx_pipe")
    assert picture.pixels(alpha=True, warn=lambda text: None).shape == (8, 16, 4)
    assert picture.pixels(alpha=False, warn=lambda text: None).shape == (8, 16, 3)


def test_a_jpeg_is_a_stream_where_another_follows(tmp_path: Path) -> None:
    content = save(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(content * 2)
    for name, demuxer in (("a.jpg", None), ("b.jpg", "mjpeg")):
        head = (tmp_path / name).read_bytes()[: containers.HEAD_BYTES]
        assert containers.demuxer_of(tmp_path / name, head) == demuxer
        assert containers.is_jpeg_stream(tmp_path / name) == (demuxer is not None)


@pytest.mark.parametrize(
    ("head", "demuxer"),
    [
        (b"\0\0\0\x18ftypisom", "mov"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"G" + b"\0" * 187 + b"G" + b"\0" * 187, "mpegts"),
        (b"G" + b"\0" * 187 + b"X" + b"\0" * 187, None),
        (b"GIF89a", None),
    ],
)
def test_first_bytes_name_the_container(head: bytes, demuxer: str | None) -> None:
    assert containers.demuxer_of(Path("unused"), head) == demuxer


def test_the_warnings_of_a_folder_are_reported_once(tmp_path: Path) -> None:
    for k in range(3):
        Image.new("F", (4, 4), 0.5).save(tmp_path / f"{k}.tiff")
    events: list[Event] = []
    frames = list(Folder.open(tmp_path, FileWarnings(events.append)).frames())
    assert len(frames) == 3 and len(events) == 1
    assert np.abs(frames[0].pixels.astype(int) - 128).max() <= 1
