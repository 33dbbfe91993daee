"""What comes out of a file is what a viewer sees, when a viewer sees it."""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import InputError, OptionError
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
HALVES = "color=red:s=64x32:r=10:d=0.5,drawbox=x=0:y=0:w=32:h=32:color=blue:t=fill"  # blue left, red right


def is_blue(pixel: np.ndarray) -> bool:
    return bool(pixel[2] > 150 and pixel[0] < 100)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.webm", "a.ts"])
def test_every_container_gives_every_frame_from_time_zero(name: str, make: Callable[..., Path]) -> None:
    codec = ("-c:v", "libvpx-vp9", "-cpu-used", "8") if name == "a.webm" else X264 if name != "a.avi" else ()
    clip = read(make(name, "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.6", *codec))
    frames = list(clip.frames())
    assert [frame.index for frame in frames] == list(range(15))
    assert frames[0].pts_seconds == 0
    assert all(abs(frame.pts_seconds - Fraction(frame.index, 25)) <= Fraction(1, 1000) for frame in frames)
    assert frames[0].pixels.shape == (48, 64, 3)
    assert frames[0].pixels.dtype == np.uint8
    assert (clip.info.width, clip.info.height, clip.info.fps) == (64, 48, 25)
    assert len(list(clip.frames())) == 15, "a second pass reads the file anew"


def test_variable_rate_keeps_exact_times(make: Callable[..., Path]) -> None:
    times = "setpts='if(lt(N,6),N,2*N-6)/24/TB'"
    path = make(
        "a.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=24:d=0.5", "-vf", times, "-fps_mode", "passthrough", *X264
    )
    expected = [Fraction(n if n < 6 else 2 * n - 6, 24) for n in range(12)]
    assert [frame.pts_seconds for frame in read(path).frames()] == expected
    found = probe(path)
    assert found.variable_rate
    assert found.duration_seconds == pytest.approx(Fraction(16 + 1, 24), abs=0.001)  # as the file states it


@pytest.mark.parametrize(("degrees", "blue_at"), [(90, "bottom"), (180, "right"), (270, "top")])
def test_rotation_is_applied_once(degrees: int, blue_at: str, make: Callable[..., Path]) -> None:
    plain = make("plain.mp4", "-f", "lavfi", "-i", HALVES, *X264)
    path = make("turned.mp4", "-display_rotation", str(degrees), "-i", str(plain), "-c", "copy")
    clip = read(path)
    pixels = next(clip.frames()).pixels
    assert pixels.shape == ((32, 64, 3) if degrees == 180 else (64, 32, 3))
    assert (clip.info.height, clip.info.width) == pixels.shape[:2]
    middle = (pixels.shape[0] // 2, pixels.shape[1] // 2)
    places = {"bottom": (-3, middle[1]), "right": (middle[0], -3), "top": (3, middle[1])}
    for place, at in places.items():
        if degrees == 180 or place != "right":
            assert is_blue(pixels[at]) == (place == blue_at) or (degrees == 180 and place != "right")


def test_sample_aspect_and_odd_sizes_give_the_display_size(make: Callable[..., Path]) -> None:
    anamorphic = make("a.mp4", "-f", "lavfi", "-i", "testsrc=s=72x48:r=10:d=0.2", "-vf", "setsar=16/9", *X264)
    clip = read(anamorphic)
    assert (clip.info.width, clip.info.height) == (128, 48)
    assert next(clip.frames()).pixels.shape == (48, 128, 3)
    odd = make("o.mp4", "-f", "lavfi", "-i", "testsrc=s=65x49:r=10:d=0.2", "-c:v", "libx264", "-pix_fmt", "yuv444p")
    assert next(read(odd).frames()).pixels.shape == (49, 65, 3)


@pytest.mark.parametrize("layout", ["yuv420p10le", "gray", "yuv444p", "yuvj420p"])
def test_pixel_layouts_become_8_bit_rgb(layout: str, make: Callable[..., Path]) -> None:
    path = make("a.mkv", "-f", "lavfi", "-i", "color=0x808080:s=32x32:r=10:d=0.2", "-c:v", "ffv1", "-pix_fmt", layout)
    pixels = next(read(path).frames()).pixels
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - 128).max() <= 2


def test_a_first_timestamp_that_is_not_zero_is_normalised(make: Callable[..., Path]) -> None:
    plain = make("plain.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=0.5", *X264)
    late = make("late.mkv", "-itsoffset", "5", "-i", str(plain), "-c", "copy")
    clip = read(late)
    assert clip.info.first_pts_seconds == 5
    assert [frame.pts_seconds for frame in clip.frames()] == [Fraction(k, 10) for k in range(5)]


def test_a_span_keeps_indices_and_starts_at_zero(make: Callable[..., Path]) -> None:
    path = make("a.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", *X264)
    whole, clip = list(read(path).frames()), read(path, span=(5, 9))
    frames = list(clip.frames())
    assert [frame.index for frame in frames] == [5, 6, 7, 8]
    assert [frame.pts_seconds for frame in frames] == [Fraction(k, 25) for k in range(4)]
    assert all(np.array_equal(frame.pixels, whole[frame.index].pixels) for frame in frames)
    assert clip.span_seconds == (Fraction(5, 25), Fraction(9, 25))
    assert clip.info.frames == 4
    assert read(path, span=(20, None)).span_seconds == (Fraction(20, 25), 1)
    with pytest.raises(InputError, match="has 25 frames; the span 20:30"):
        read(path, span=(20, 30))
    with pytest.raises(InputError, match="25 frames"):
        read(path, span=(25, None))
    with pytest.raises(OptionError):
        read(path, span=(3, 3))


def transparent_discs(count: int) -> list[Image.Image]:
    pictures = []
    for k in range(count):
        pixels = np.zeros((24, 40, 4), np.uint8)
        pixels[6:18, 3 * k : 3 * k + 8] = (200, 30 * k, 40, 255)
        pictures.append(Image.fromarray(pixels))
    return pictures


@pytest.mark.parametrize(
    ("name", "loop"), [("a.gif", 0), ("a.png", 0), ("a.apng", 3), ("a.webp", 2), ("once.gif", None)]
)
def test_animations_keep_delays_loop_and_alpha(name: str, loop: int | None, tmp_path: Path) -> None:
    delays = [40, 120, 80, 500]
    first, *others = transparent_discs(4)
    looping = {} if loop is None else {"loop": loop}
    form = "PNG" if "png" in name else None
    path = tmp_path / name
    first.save(path, form, save_all=True, append_images=others, duration=delays, disposal=2, lossless=True, **looping)
    clip = read(path)
    frames = list(clip.frames())
    assert clip.info.kind == "animation"
    assert (clip.info.frames, clip.info.alpha, clip.info.variable_rate) == (4, True, True)
    assert clip.info.loop == (1 if loop is None else loop)
    assert [frame.duration_seconds for frame in frames] == [Fraction(delay, 1000) for delay in delays]
    assert [frame.pts_seconds for frame in frames] == [0, Fraction(40, 1000), Fraction(160, 1000), Fraction(240, 1000)]
    for k, frame in enumerate(frames):
        assert frame.pixels.shape == (24, 40, 4)
        assert frame.pixels[10, 3 * k + 4, 3] == 255
        assert frame.pixels[2, 2, 3] == 0
    inner = read(path, span=(1, 3))
    assert [frame.pts_seconds for frame in inner.frames()] == [0, Fraction(120, 1000)]
    assert inner.info.duration_seconds == Fraction(200, 1000)


def test_alpha_of_vp9_is_kept(make: Callable[..., Path]) -> None:
    see = "color=red@0.5:s=64x48:r=10:d=0.3,format=yuva420p"
    path = make("a.webm", "-f", "lavfi", "-i", see, "-c:v", "libvpx-vp9", "-cpu-used", "8", "-pix_fmt", "yuva420p")
    clip = read(path)
    pixels = next(clip.frames()).pixels
    assert clip.info.alpha
    assert pixels.shape == (48, 64, 4)
    assert abs(int(pixels[20, 20, 3]) - 128) <= 3


def test_a_still_is_turned_by_its_exif_orientation(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: left becomes top
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    clip = read(tmp_path / "a.jpg")
    pixels = next(clip.frames()).pixels
    assert (clip.info.width, clip.info.height) == (20, 40)
    assert pixels.shape == (40, 20, 3)
    assert is_blue(pixels[5, 10])
    assert not is_blue(pixels[35, 10])


def test_a_grey_still_of_16_bits_keeps_its_upper_8(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 0x80FF, np.uint16)).save(tmp_path / "a.png")
    assert np.all(next(read(tmp_path / "a.png").frames()).pixels == 0x80)


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = tmp_path / "shot %d * one"
    folder.mkdir()
    for k in (1, 2, 10):
        Image.new("RGB", (8, 6), (k, 0, 0)).save(folder / f"frame{k}.png")
    (folder / ".DS_Store").write_bytes(b"hidden")
    clip = read(folder)
    assert [frame.pixels[0, 0, 0] for frame in clip.frames()] == [1, 2, 10]
    assert [frame.pts_seconds for frame in clip.frames()] == [0, Fraction(1, 24), Fraction(2, 24)]
    assert [frame.index for frame in read(folder, span=(1, 3)).frames()] == [1, 2]
    Image.new("RGB", (9, 6)).save(folder / "frame11.png")
    with pytest.raises(InputError, match="one size"):
        read(folder)
    (folder / "frame11.png").rename(folder / "notes.txt")
    with pytest.raises(InputError, match=r"notes\.txt"):
        read(folder)


def test_no_process_is_left_when_a_reader_leaves_early(make: Callable[..., Path]) -> None:
    path = make("a.mp4", "-f", "lavfi", "-i", "testsrc=s=640x480:r=25:d=4", *X264)
    frames = read(path).frames()
    next(frames)
    running = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(path) in running
    frames.close()  # type: ignore[attr-defined]
    running = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(path) not in running


def test_the_last_frame_of_a_span_lasts_until_the_next_one(make: Callable[..., Path]) -> None:
    """Slides of 1, 2 and 3 seconds; the second one alone lasts 2."""
    times = "setpts='if(eq(N,0),0,if(eq(N,1),1,3))/TB'"
    source = make("a.mkv", "-f", "lavfi", "-i", "testsrc=s=64x48:r=1:d=3", "-vf", times, "-fps_mode", "vfr", *X264)
    (slide,) = read(source, span=(1, 2)).frames()
    assert (slide.pts_seconds, slide.duration_seconds) == (0, 2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 90), (200, 30, 30)).save(tmp_path / "a.tiff", exif=exif)
    clip = read(tmp_path / "a.tiff")
    (frame,) = clip.frames()
    assert frame.pixels.shape == (clip.info.height, clip.info.width, 3)
    assert (clip.info.width, clip.info.height) == ((60, 90) if orientation < 5 else (90, 60))
