"""Pictures of every format and depth; what is not read as the file holds it is said."""

import math
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Event, Notice
from pnpvideo.video.read import read


def seen(path: Path) -> tuple[np.ndarray, str]:
    """The first frame's pixels, and all that was said."""
    said: list[Event] = []
    pixels = next(read(path, report=said.append).frames()).pixels
    return pixels, "; ".join(event.message for event in said if isinstance(event, Notice))


def ramp(width: int = 24, height: int = 16) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([columns * 10, rows * 15, columns * 5 + rows], -1).astype(np.uint8))


def tiff(path: Path, values: np.ndarray, **tags: float) -> Path:
    """A TIFF of one channel, of any depth, without compression. tags: "t340" = value."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    entries = [
        *((256, 4, values.shape[1]), (257, 4, values.shape[0]), (258, 3, 8 * values.itemsize), (259, 3, 1)),
        *((262, 3, 1), (273, 4, 0), (277, 3, 1), (278, 4, values.shape[0]), (279, 4, values.nbytes), (339, 3, kind)),
        *((int(name[1:]), 11, value) for name, value in tags.items()),
    ]
    start = 8 + 2 + 12 * len(entries) + 4
    ifd = struct.pack("<H", len(entries))
    for number, kind, value in entries:
        packed = struct.pack("<f", value) if kind == 11 else struct.pack("<I", start if number == 273 else int(value))
        ifd += struct.pack("<HHI", number, kind, 1) + packed
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + ifd + bytes(4) + values.tobytes())
    return path


@pytest.mark.parametrize(
    ("values", "expected", "range_said"),
    [
        (np.array([[0, 0.5, 1]], "<f4"), [0, 128, 255], "0 (black) to 1 (white)"),
        (np.array([[0, 0.02, 0.04]], "<f4"), [0, 5, 10], "0 (black) to 1 (white)"),
        (np.array([[-0.05, 0.5, 1.05]], "<f4"), [0, 128, 255], "0 (black) to 1 (white)"),
        (np.array([[0, 100, 255]], "<f4"), [0, 100, 255], "0 (black) to 255 (white)"),
        (np.array([[0, 2, 4]], "<f4"), [0, 128, 255], "0 (black) to 4 (white)"),
        (np.array([[-10, 0, 10]], "<f4"), [0, 128, 255], "-10 (black) to 10 (white)"),
        (np.array([[0, 100, 255]], "<i4"), [0, 100, 255], "0 (black) to 255 (white)"),
        (np.array([[0, 100, 255]], "<u4"), [0, 100, 255], "0 (black) to 255 (white)"),
        (np.array([[0, 0x80FF, 0xFFFF]], "<i4"), [0, 0x80, 0xFF], "0 (black) to 65535 (white)"),
        (np.array([[0, 2**31, 2**32 - 1]], "<u4"), [0, 128, 255], "to 4.29497e+09 (white)"),
        (np.array([[-100, 0, 100]], "<i2"), [0, 128, 255], "-100 (black) to 100 (white)"),
    ],
)
def test_floats_and_integers_of_32_bits_are_scaled_and_the_range_is_said(
    values: np.ndarray, expected: list[int], range_said: str, tmp_path: Path
) -> None:
    pixels, said = seen(tiff(tmp_path / "a.tiff", values))
    assert pixels[0, :, 1].tolist() == expected
    assert range_said in said
    assert "assumed from its values" in said


def test_a_range_that_the_file_states_is_used(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tiff", np.array([[0, 0.5, 1]], "<f4"), t340=0.0, t341=2.0)
    pixels, said = seen(path)
    assert pixels[0, :, 0].tolist() == [0, 64, 128]
    assert "the range its file says" in said


def test_values_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    pixels, said = seen(tiff(tmp_path / "a.tiff", np.array([[math.nan, math.inf, -math.inf, 1, 0.5]], "<f4")))
    assert pixels[0, :, 0].tolist() == [0, 255, 0, 255, 128]
    assert "no finite numbers" in said


def test_a_picture_that_becomes_all_black_is_said(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 200, np.uint16)).save(tmp_path / "a.png")
    pixels, said = seen(tmp_path / "a.png")
    assert not pixels.any()
    assert "all black" in said
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "b.png")
    assert seen(tmp_path / "b.png")[1] == ""


def test_frames_of_floats_share_one_range_and_it_is_said_once(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for k, top in enumerate((4, 8, 6)):
        tiff(folder / f"{k}.tiff", np.array([[0, top]], "<f4"))
    said: list[Event] = []
    frames = list(read(folder, report=said.append).frames())
    assert [frame.pixels[0, 1, 0] for frame in frames] == [128, 255, 191]
    assert len(said) == 1
    assert "0 (black) to 8 (white)" in str(said[0])


DAMAGE = ("text", "infinite", "out of range")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, damage) for name in ("a.png", "a.jpg", "a.webp", "a.tiff") for damage in DAMAGE),
        *((name, "cut short") for name in ("a.png", "a.jpg", "a.webp")),
    ],
)
def test_damaged_exif_leaves_a_sound_picture_upright_and_is_said(name: str, damage: str, tmp_path: Path) -> None:
    count_and_value = {
        "text": struct.pack("<HI4s", 2, 4, b"top\0"),
        "infinite": struct.pack("<HIf", 11, 1, math.inf),
        "out of range": struct.pack("<HIHH", 3, 1, 77, 0),
        "cut short": b"\3",
    }[damage]
    exif = b"Exif\0\0II*\0" + struct.pack("<IHH", 8, 1, 0x0112) + count_and_value
    exif += b"" if damage == "cut short" else bytes(4)
    picture = ramp()
    if name == "a.tiff":
        picture.save(tmp_path / name, tiffinfo={0x0112: 1})
        content = (tmp_path / name).read_bytes()
        entry = struct.pack("<HHIHH", 0x0112, 3, 1, 1, 0)
        assert entry in content
        (tmp_path / name).write_bytes(content.replace(entry, struct.pack("<H", 0x0112) + count_and_value))
    else:
        picture.save(tmp_path / name, exif=exif, lossless=True)
    pixels, said = seen(tmp_path / name)
    assert np.abs(pixels.astype(int) - np.asarray(picture)).max() <= (0 if name != "a.jpg" else 60)
    assert "orientation" in said or "EXIF" in said


def test_libraries_print_nothing_and_what_they_say_is_reported(tmp_path: Path) -> None:
    """In a process of its own, whose standard error is the one that libtiff would write to."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    noise.save(tmp_path / "whole.tiff", compression="tiff_lzw")
    whole = (tmp_path / "whole.tiff").read_bytes()
    for k in range(40):
        damaged = bytearray(whole)
        for place in np.random.default_rng(k).integers(0, len(whole), 6):
            damaged[place] ^= 0x41
        (tmp_path / f"{k}.tiff").write_bytes(damaged)
    script = (
        "import sys, pathlib\n"
        "from pnpvideo.errors import PnPVideoError\n"
        "from pnpvideo.video.read import read\n"
        "refused = 0\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        list(read(path).frames())\n"
        "    except PnPVideoError:\n"
        "        refused += 1\n"
        "print(refused)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert 3 <= int(done.stdout) <= 40


def test_damage_that_libtiff_decodes_past_is_reported(tmp_path: Path) -> None:
    """A fax has no checksum: libtiff complains of a bad code word and goes on, and Pillow raises nothing."""
    picture = Image.fromarray(np.add.outer(np.arange(64), np.arange(64)) % 23 < 9).convert("1")
    picture.save(tmp_path / "a.tiff", compression="group4")
    content = bytearray((tmp_path / "a.tiff").read_bytes())
    content[60:64] = b"\xaa\x55\xaa\x55"
    (tmp_path / "a.tiff").write_bytes(content)
    assert "Bad code word" in seen(tmp_path / "a.tiff")[1]


def test_what_pillow_raises_is_one_clear_line(tmp_path: Path) -> None:
    """Every byte of a small fax TIFF's table flipped, one at a time."""
    Image.new("1", (16, 16), 1).save(tmp_path / "a.tiff", compression="group4", exif=Image.Exif())
    whole = (tmp_path / "a.tiff").read_bytes()
    start = struct.unpack_from("<I", whole, 4)[0]
    for place in range(start, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "b.tiff").write_bytes(damaged)
        try:
            list(read(tmp_path / "b.tiff").frames())
        except (DecodeError, InputError) as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["a.tga", "a.ppm", "a.pgm", "a.jp2", "a.j2k", "a.qoi", "a.bmp", "a.avif"])
def test_more_pictures_are_read(name: str, tmp_path: Path) -> None:
    picture = ramp().convert("L") if name == "a.pgm" else ramp()
    lossless: dict[str, Any] = {"quality": 100, "subsampling": "4:4:4"} if name == "a.avif" else {}
    picture.save(tmp_path / name, **lossless)
    clip = read(tmp_path / name)
    assert (clip.info.kind, clip.info.width, clip.info.height, clip.info.alpha) == ("still", 24, 16, False)
    difference = np.abs(next(clip.frames()).pixels.astype(int) - np.asarray(picture.convert("RGB"))).max()
    assert difference <= (4 if name == "a.avif" else 0)


@pytest.mark.parametrize("name", ["a.tga", "a.jp2", "a.qoi", "a.avif"])
def test_their_alpha_is_kept(name: str, tmp_path: Path) -> None:
    picture = ramp().convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.save(tmp_path / name, quality=100)
    pixels = next(read(tmp_path / name).frames()).pixels
    assert pixels.shape == (16, 24, 4)
    assert np.abs(pixels[..., 3].astype(int) - np.asarray(picture)[..., 3]).max() <= 2


def test_an_animated_avif_keeps_frames_alpha_and_exact_delays(tmp_path: Path, make: Callable[..., Path]) -> None:
    pictures = [Image.new("RGBA", (32, 24), (60 * k, 90, 10, 128)) for k in range(4)]
    first, *others = pictures
    first.save(tmp_path / "a.avif", save_all=True, append_images=others, duration=[40, 120, 80, 500])
    clip = read(tmp_path / "a.avif")
    frames = list(clip.frames())
    assert (clip.info.kind, clip.info.frames, clip.info.alpha) == ("animation", 4, True)
    assert [frame.duration_seconds for frame in frames] == [Fraction(ms, 1000) for ms in (40, 120, 80, 500)]
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.pixels.astype(int) - np.asarray(picture)).max() <= 4
    see = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=24000/1001:d=0.3")
    ntsc = make("b.avif", *see, "-c:v", "libaom-av1", "-cpu-used", "8")
    assert {frame.duration_seconds for frame in read(ntsc).frames()} == {Fraction(1001, 24000)}


def test_a_tga_is_known_by_extension_or_footer_and_a_possible_header(tmp_path: Path) -> None:
    ramp().save(tmp_path / "a.tga")
    content = (tmp_path / "a.tga").read_bytes()
    assert content.endswith(b"TRUEVISION-XFILE.\0")
    (tmp_path / "b.dat").write_bytes(content)
    assert read(tmp_path / "b.dat").info.kind == "still"
    (tmp_path / "c.dat").write_bytes(content[:-26])
    (tmp_path / "d.tga").write_bytes(b"some text that is no picture at all")
    for name in ("c.dat", "d.tga"):
        with pytest.raises(InputError, match="TGA"):
            read(tmp_path / name)
    (tmp_path / "e.tga").write_bytes(content[: len(content) // 2])
    with pytest.raises(DecodeError, match=r"e\.tga"):
        list(read(tmp_path / "e.tga").frames())


def test_a_fourth_channel_of_a_tga_that_is_no_alpha_hides_nothing(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 100, 50, 0)).save(tmp_path / "a.tga")
    content = bytearray((tmp_path / "a.tga").read_bytes())
    assert seen(tmp_path / "a.tga")[0][0, 0].tolist() == [200, 100, 50, 0], "its header says that this is alpha"
    content[17] &= 0xF0
    (tmp_path / "a.tga").write_bytes(content)
    pixels, said = seen(tmp_path / "a.tga")
    assert pixels[0, 0].tolist() == [200, 100, 50, 255]
    assert "opaque" in said


def test_a_jpeg_of_several_pictures_gives_the_first_and_says_so(tmp_path: Path) -> None:
    ramp().save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[ramp().rotate(180)], quality=95)
    pixels, said = seen(tmp_path / "a.jpg")
    assert np.abs(pixels.astype(int) - np.asarray(ramp())).mean() < 8
    assert "holds 2 pictures" in said


def test_an_hdr_avif_is_said(tmp_path: Path, make: Callable[..., Path]) -> None:
    see = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=0.2,setparams=color_trc=smpte2084:colorspace=bt2020nc")
    tags = ("-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-color_primaries", "bt2020")
    path = make("a.avif", *see, "-c:v", "libaom-av1", "-cpu-used", "8", *tags)
    assert "HDR (PQ)" in seen(path)[1]
    still = make("b.avif", *see, "-frames:v", "1", "-c:v", "libaom-av1", "-cpu-used", "8", *tags)
    assert "HDR (PQ)" in seen(still)[1]


def test_several_pictures_in_one_ppm_are_refused(tmp_path: Path) -> None:
    ramp().save(tmp_path / "a.ppm")
    (tmp_path / "b.ppm").write_bytes((tmp_path / "a.ppm").read_bytes() * 2)
    with pytest.raises(InputError, match="several pictures"):
        read(tmp_path / "b.ppm")


def test_an_unknown_file_is_told_the_table(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_bytes(b"nothing that is known")
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.xyz")
    names = ("PNG", "JPEG", "GIF", "WebP", "AVIF", "BMP", "TIFF", "TGA", "PPM", "JPEG 2000", "QOI", "DPX", "EXR")
    assert all(name in str(caught.value) for name in names)


def exr(path: Path, planes: dict[str, np.ndarray], *, flags: int = 0) -> Path:
    """An uncompressed EXR of float channels (h, w)."""
    height, width = next(iter(planes.values())).shape
    names = sorted(planes)
    channels = b"".join(name.encode() + b"\0" + struct.pack("<IIII", 2, 0, 1, 1) for name in names) + b"\0"
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = [("channels", "chlist", channels), ("compression", "compression", b"\0")]
    attributes += [
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
    ]
    attributes += [("pixelAspectRatio", "float", struct.pack("<f", 1)), ("screenWindowCenter", "v2f", bytes(8))]
    attributes += [("screenWindowWidth", "float", struct.pack("<f", 1))]
    head = b"\x76\x2f\x31\x01" + struct.pack("<I", 2 | flags)
    for name, kind, body in attributes:
        head += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(body)) + body
    head += b"\0"
    row = 4 * width * len(names)
    offsets = [len(head) + 8 * height + y * (8 + row) for y in range(height)]
    lines = [
        struct.pack("<iI", y, row) + b"".join(planes[name][y].astype("<f4").tobytes() for name in names)
        for y in range(height)
    ]
    path.write_bytes(head + b"".join(struct.pack("<Q", offset) for offset in offsets) + b"".join(lines))
    return path


def test_an_exrs_linear_light_becomes_srgb_and_that_is_said(tmp_path: Path) -> None:
    light = np.tile(np.array([0, 0.001, 0.18, 0.5, 1, 7], np.float32), (300, 1))
    pixels, said = seen(exr(tmp_path / "a.exr", {"R": light, "G": light / 2, "B": light * 0}))
    assert pixels.shape == (300, 6, 3)
    assert pixels[299].tolist() == pixels[0].tolist()
    assert pixels[0, :, 0].tolist() == [0, 3, 118, 188, 255, 255]
    assert pixels[0, 4].tolist() == [255, 188, 0]
    assert "sRGB" in said


def test_an_exrs_alpha_is_made_straight_and_other_channels_are_said(tmp_path: Path) -> None:
    half = np.full((4, 4), 0.5, np.float32)
    path = exr(tmp_path / "a.exr", {"R": half, "G": half / 2, "B": half * np.nan, "A": half, "Z": half})
    pixels, said = seen(path)
    assert pixels[0, 0].tolist() == [255, 188, 0, 128]
    assert "other channels (Z)" in said
    assert "no finite numbers" in said


def test_a_deep_or_damaged_exr_is_refused(tmp_path: Path) -> None:
    path = exr(tmp_path / "a.exr", {name: np.ones((4, 4)) for name in "RGB"}, flags=0x800)
    with pytest.raises(InputError, match="deep"):
        read(path)
    whole = exr(tmp_path / "b.exr", {name: np.ones((40, 40)) for name in "RGB"}).read_bytes()
    for length in (100, 300, len(whole) // 2):
        (tmp_path / "c.exr").write_bytes(whole[:length])
        with pytest.raises(DecodeError, match=r"c\.exr"):
            list(read(tmp_path / "c.exr").frames())


@pytest.mark.parametrize(("layout", "alpha"), [("rgb24", False), ("rgba", True), ("gbrp10be", False), ("gray", False)])
def test_a_dpx_is_read(layout: str, alpha: bool, tmp_path: Path, make: Callable[..., Path]) -> None:
    see = "color=0x808080:s=16x8,format=rgba,colorchannelmixer=aa=0.5" if alpha else "color=0x808080:s=16x8"
    path = make("a.dpx", "-f", "lavfi", "-i", see, "-frames:v", "1", "-pix_fmt", layout)
    pixels, _ = seen(path)
    assert pixels.shape == (8, 16, 4 if alpha else 3)
    assert np.abs(pixels[..., :3].astype(int) - 128).max() <= 1
    assert len(np.unique(pixels[..., :3])) == 1, "no dither"
    assert not alpha or abs(int(pixels[0, 0, 3]) - 128) <= 1


def test_a_logarithmic_dpx_is_said(tmp_path: Path, make: Callable[..., Path]) -> None:
    path = make("a.dpx", "-f", "lavfi", "-i", "color=gray:s=16x8", "-frames:v", "1", "-pix_fmt", "rgb24")
    content = bytearray(path.read_bytes())
    content[801] = 1
    path.write_bytes(content)
    assert "logarithmic" in seen(path)[1]


def test_a_folder_of_film_frames_is_a_clip(tmp_path: Path) -> None:
    folder = tmp_path / "shot"
    folder.mkdir()
    for k in range(3):
        exr(folder / f"{k}.exr", {name: np.full((4, 6), k / 2) for name in "RGB"})
    said: list[Event] = []
    frames = list(read(folder, report=said.append).frames())
    assert [frame.pixels[0, 0, 0] for frame in frames] == [0, 188, 255]
    assert len(said) == 1


def test_what_systems_leave_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    for k in range(2):
        ramp().save(tmp_path / f"{k}.png")
    for name in ("Thumbs.db", "desktop.ini", "ehthumbs.db", ".DS_Store", "._0.png", ".directory", "Icon\r"):
        (tmp_path / name).write_bytes(b"of a system")
    for name in ("__MACOSX", "@eaDir"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"")
    assert read(tmp_path).info.frames == 2
    (tmp_path / "notes.txt").write_text("ours", "utf-8")
    with pytest.raises(InputError, match=r"notes\.txt"):
        read(tmp_path)


def test_lab_of_tiff_has_its_colours(tmp_path: Path) -> None:
    Image.new("LAB", (4, 4), (136, 208, 195)).save(tmp_path / "a.tiff")  # sRGB red is L 53, a 80, b 67
    with Image.open(tmp_path / "a.tiff") as image:
        assert image.mode == "LAB"
    assert np.abs(seen(tmp_path / "a.tiff")[0].astype(int) - (255, 0, 0)).max() <= 12
