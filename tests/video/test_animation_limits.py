"""Small files that unfold to much are refused, and what is let in stays small in memory."""

import io
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.video import drawings
from pnpvideo.video.clip import Frame
from pnpvideo.video.read import read

PEAK = (
    "import pathlib, sys\n"
    "from pnpvideo.errors import InputError\n"
    "from pnpvideo.video.probe import probe\n"
    "try:\n"
    "    print(probe(sys.argv[1]).frames, end=' ')\n"
    "except InputError:\n"
    "    print('refused', end=' ')\n"
    "status = pathlib.Path('/proc/self/status').read_text()\n"
    "print(int(status.split('VmHWM:')[1].split()[0]) // 1024)\n"
)


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads a process's peak from /proc")


def outcome(path: Path) -> tuple[str, int]:
    """What ``probe`` finds in a process of its own, and that process's largest memory in MiB."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    found, peak = done.stdout.split()
    return found, int(peak)


def sparse_gif(path: Path, side: int, frames: int) -> Path:
    """Frames of one pixel each on a large canvas: 23 bytes a frame."""
    head = b"GIF89a" + struct.pack("<HH", side, side) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\4\4\5\0\0\0," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\2\2D\1\0"
    path.write_bytes(head + frame * frames + b";")
    return path


def flat_webp(path: Path, side: int, frames: int) -> Path:
    """Two frames, the second of one pixel and repeated."""
    whole = io.BytesIO()
    first, second = Image.new("RGB", (side, side), "red"), Image.new("RGB", (side, side), "red")
    second.putpixel((0, 0), (0, 0, 9))
    first.save(whole, "WEBP", save_all=True, append_images=[second], lossless=True, method=0, quality=0)
    content = whole.getvalue()
    last = content[content.rindex(b"ANMF") :]
    content += last * (frames - 2)
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    return path


def test_a_small_gif_that_unfolds_to_billions_of_pixels_is_refused(tmp_path: Path) -> None:
    path = sparse_gif(tmp_path / "a.gif", 2900, 300)
    assert path.stat().st_size < 8000
    with pytest.raises(InputError, match=r"unfold to 300 frames of 2900x2900.*convert it to a video"):
        read(path)


def test_a_small_webp_that_unfolds_to_much_is_refused(tmp_path: Path) -> None:
    path = flat_webp(tmp_path / "a.webp", 2000, 40)
    assert path.stat().st_size < 4000
    with pytest.raises(InputError, match=r"unfold to 40 frames of 2000x2000"):
        read(path)


@linux
def test_a_refusal_takes_little_memory(tmp_path: Path) -> None:
    found, peak = outcome(flat_webp(tmp_path / "a.webp", 4000, 3))
    assert found == "refused"
    assert peak < 200


def test_an_animation_on_a_giant_canvas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is 4000x4000; accepted are animations of up to \d+ pixels"):
        read(sparse_gif(tmp_path / "a.gif", 4000, 2))


@linux
@pytest.mark.parametrize("form", ["gif", "webp"])
def test_the_largest_animations_take_less_than_500_mb(form: str, tmp_path: Path) -> None:
    path = (sparse_gif if form == "gif" else flat_webp)(tmp_path / f"a.{form}", 2900, 4)
    found, peak = outcome(path)
    assert found == "4"
    assert peak < 500


@pytest.mark.parametrize(("form", "module"), [("webp", "animation"), ("gif", "gif")])
def test_more_frames_than_the_cap_are_refused(
    form: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (flat_webp if form == "webp" else sparse_gif)(tmp_path / f"a.{form}", 4, 5)
    assert read(path).info.frames == 5
    monkeypatch.setattr(f"pnpvideo.video.{module}.MAX_FRAMES", 4)
    with pytest.raises(InputError, match="more than 4 frames"):
        read(path)


def test_a_folder_of_more_frames_than_the_cap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(3):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{k}.png")
    monkeypatch.setattr("pnpvideo.video.folder.MAX_FRAMES", 2)
    with pytest.raises(InputError, match="more than 2 files"):
        read(tmp_path)


def test_an_animation_that_takes_longer_than_patience_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes more than 0 s"):
        read(sparse_gif(tmp_path / "a.gif", 40, 3), patience_seconds=0)


@pytest.mark.parametrize("form", ["png", "webp"])
def test_frames_that_a_file_announces_and_lacks_are_damage(form: str, tmp_path: Path) -> None:
    pictures = [Image.effect_noise((32, 32), 50 + k).convert("RGB") for k in range(4)]
    whole = io.BytesIO()
    pictures[0].save(whole, form.upper(), save_all=True, append_images=pictures[1:], duration=40)
    content = whole.getvalue()
    place = content.rindex(b"fcTL") - 4 if form == "png" else content.rindex(b"ANMF")
    rest = content[content.rindex(b"IEND") - 4 :] if form == "png" else b""
    size = struct.pack("<I", place - 8)
    cut = content[:place] + rest if form == "png" else content[:4] + size + content[8:place]
    (tmp_path / f"a.{form}").write_bytes(cut)
    if form == "webp":  # its header counts no frames: what is whole, is whole
        assert read(tmp_path / "a.webp").info.frames == 3
        return
    with pytest.raises(DecodeError, match=r"a\.png"):
        read(tmp_path / "a.png")


def test_blocks_of_large_frames_are_compared_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(2).integers(0, 255, (77, 131, 4), np.uint8)
    changed = noise.copy()
    changed[70:, 120:] = 255 - changed[70:, 120:]
    shown = [noise, noise.copy(), changed]
    counts = []
    for strip in (2**20, 1):
        monkeypatch.setattr(drawings, "STRIP", strip)
        counts.append(drawings.count_drawings(Frame(k, Fraction(k), picture) for k, picture in enumerate(shown)))
    assert counts == [2, 2]


def test_a_gif_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = sparse_gif(tmp_path / "a.gif", 4, 2)
    with path.open("r+b") as file:
        file.truncate(2**33)  # sparse
    with pytest.raises(InputError, match="accepted are GIFs of up to"):
        read(path)
