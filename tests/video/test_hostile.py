"""Files that are no clips, clips that are damaged, and names that look like something else."""

import os
import socket
import stat
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import DecodeError, InputError, PnPVideoError
from pnpvideo.events import Event, Notice
from pnpvideo.video.clip import MAX_PIXELS, ClipInfo
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
SECOND = ("-f", "lavfi", "-i", "testsrc=s=128x96:r=25:d=1")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_what_is_no_clip_is_an_input_error_that_names_it(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    png = (tmp_path / "picture.png").read_bytes()
    for name, content, message in [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"hello\n" * 100, "is no video"),
        ("png.mp4", png, "holds a picture, not a video"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "is no video"),
        ("concat.mp4", b"ffconcat version 1.0\nfile '/etc/passwd'\n", "is no video"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            read(written(tmp_path / name, content))
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_playlist_behind_a_containers_first_bytes_reads_no_other_file(
    tmp_path: Path, make: Callable[..., Path]
) -> None:
    secret = make("secret.mp4", *SECOND, *X264)
    for first in (b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3", b"OggS", b"FLV\x01", b"\0\0\x01\xba", b"G" * 200):
        playlist = first + f"\nffconcat version 1.0\nfile '{secret}'\n#EXTM3U\n{secret}\n".encode()
        with pytest.raises(InputError):
            read(written(tmp_path / "list.mp4", playlist))


@pytest.mark.parametrize("name", ["plain.mp4", "index_first.mp4", "a.mkv", "a.webm", "a.avi"])
def test_a_truncated_video_is_a_decode_error_that_names_it(
    name: str, tmp_path: Path, make: Callable[..., Path]
) -> None:
    codec = {"a.webm": ("-c:v", "libvpx-vp9", "-cpu-used", "8"), "a.avi": ("-c:v", "mpeg4")}.get(name, X264)
    flags = ("-movflags", "+faststart") if name == "index_first.mp4" else ()
    whole = make("whole" + Path(name).suffix, *SECOND, *codec, *flags).read_bytes()
    path = written(tmp_path / name, whole[: len(whole) * 2 // 3])
    with pytest.raises(DecodeError) as caught:
        list(read(path).frames())
    assert name in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_partial_result_is_given_only_when_allowed_and_is_said(tmp_path: Path, make: Callable[..., Path]) -> None:
    whole = make("whole.mp4", *SECOND, *X264, "-movflags", "+faststart").read_bytes()
    path = written(tmp_path / "half.mp4", whole[: len(whole) * 2 // 3])
    said: list[Event] = []
    frames = list(read(path, allow_partial=True, report=said.append).frames())
    assert 0 < len(frames) < 25
    assert len(said) == 1
    assert isinstance(said[0], Notice)
    assert f"{len(frames)} frames" in said[0].message


def test_damage_in_the_middle_names_the_frame(tmp_path: Path, make: Callable[..., Path]) -> None:
    whole = bytearray(make("whole.mp4", *SECOND, *X264, "-movflags", "+faststart").read_bytes())
    middle = len(whole) * 2 // 3
    whole[middle : middle + 400] = bytes(byte ^ 0x5A for byte in whole[middle : middle + 400])
    with pytest.raises(
        DecodeError, match=r"damaged\.mp4 is damaged or cut short; decoding failed at frame \d+"
    ) as caught:
        list(read(written(tmp_path / "damaged.mp4", bytes(whole))).frames())
    assert "0x" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.webp"])
def test_a_truncated_picture_is_a_decode_error(name: str, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    animated = name in ("a.gif", "a.webp")
    others = [noise.rotate(90 * k) for k in (1, 2, 3)] if animated else []
    noise.save(tmp_path / name, save_all=animated, append_images=others)
    content = (tmp_path / name).read_bytes()
    written(tmp_path / name, content[: len(content) * 2 // 3])
    with pytest.raises(DecodeError, match=name):
        list(read(tmp_path / name).frames())


def test_pipes_and_devices_are_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe.mp4", tmp_path / "zero.mp4", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            read(path)


@pytest.mark.parametrize(
    "protocol", ["http://127.0.0.1:{port}/a.mp4", "concat:a.mp4|b.mp4", "data:video/mp4;base64,AA"]
)
def test_an_address_is_a_missing_file_and_opens_no_socket(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        with pytest.raises(InputError, match=r"does not exist|is a URL"):
            read(protocol.format(port=server.getsockname()[1]))
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_path_with_a_null_byte_is_an_input_error() -> None:
    with pytest.raises(InputError):
        read("a\0b.mp4")


@pytest.mark.parametrize(
    "name",
    [
        "-i.mp4",
        "-y",
        "--help.mp4",
        "$(touch x);.mp4",
        "a %d * b.mp4",
        "naïve 映画 'q\".mp4",
        "two\nlines.mp4",
        "x" * 251 + ".mp4",
    ],
)
def test_any_name_is_a_file_name(
    name: str, tmp_path: Path, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(
        "plain.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2", "-f", "lavfi", "-i", "sine=d=0.2", *X264
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source.rename(tmp_path / "in" / name)
    monkeypatch.chdir(tmp_path / "in")
    clip = read(name)
    frames = list(clip.frames())
    monkeypatch.chdir(tmp_path / "out")
    info = clip.info if clip.info.path is None else ClipInfo(**{**vars(clip.info), "path": tmp_path / "in" / name})
    with Writer(name, info) as writer:
        for frame in frames:
            writer.append(frame.pixels, frame.pts_seconds)
    assert os.listdir(tmp_path / "out") == [name]
    assert os.listdir(tmp_path / "in") == [name]
    assert len(list(read(name).frames())) == 5


def giant_png(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("side", [9000, 30000, 65535])
def test_a_giant_header_is_refused_unread(side: int, tmp_path: Path) -> None:
    assert side * side > MAX_PIXELS
    with pytest.raises(InputError, match="pixels"):
        probe(written(tmp_path / "bomb.png", giant_png(side)))


def test_a_giant_frame_of_a_video_is_refused(make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("a.mp4", *SECOND, *X264)
    monkeypatch.setattr("pnpvideo.video.stream_info.MAX_PIXELS", 128 * 96 - 1)
    with pytest.raises(InputError, match="128x96"):
        read(path)
    monkeypatch.undo()
    monkeypatch.setattr("pnpvideo.video.ffmpeg.MAX_PIXELS", 128 * 96 - 1)
    with pytest.raises(InputError):
        read(path)


def test_a_size_that_changes_in_the_middle_ends_the_clip_where_partial_results_are_allowed(
    make: Callable[..., Path],
) -> None:
    stream = ("-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p", "-f", "h264")
    small = make("small.h264", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.4", *stream)
    large = make("large.h264", "-f", "lavfi", "-i", "testsrc=s=128x96:r=25:d=0.4", *stream)
    small.write_bytes(small.read_bytes() + large.read_bytes())
    both = make("both.ts", "-framerate", "25", "-f", "h264", "-i", str(small), "-c", "copy")
    with pytest.raises(DecodeError, match=r"changes its size at frame 10, from 64x48 to 128x96; .*scale=64:48"):
        list(read(both).frames())
    said: list[Event] = []
    frames = list(read(both, allow_partial=True, report=said.append).frames())
    assert len(frames) == 10
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert [str(event) for event in said if "only the 10 frames before" in str(event)]
    with pytest.raises(DecodeError, match="changes its size at frame 10"):
        read(both, span=(12, 15))


def fake_ffmpeg(path: Path, real: str, script: str) -> str:
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\nreal = {real!r}\n{script}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_decode_that_hangs_is_stopped_and_leaves_no_child(
    tmp_path: Path, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pnpvideo.video.ffmpeg import executable

    path = make("a.mp4", *SECOND, *X264)
    hang = "if 'rawvideo' in sys.argv:\n    time.sleep(1000)\nos.execv(real, [real, *sys.argv[1:]])"
    fake = fake_ffmpeg(tmp_path / "hanging-ffmpeg", executable(), hang)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", fake)
    clip = read(path, patience_seconds=3)
    with pytest.raises(DecodeError, match="hangs at frame 0"):
        next(clip.frames())
    assert fake not in subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_control_characters_of_a_name_do_not_reach_the_message(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path / "a\x1b[31m.mp4", b"text"))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_gif_is_a_decode_error(share: float, tmp_path: Path) -> None:
    pictures = [Image.effect_noise((64, 48), 60 + k).convert("P") for k in range(20)]
    pictures[0].save(tmp_path / "whole.gif", save_all=True, append_images=pictures[1:], duration=40)
    assert read(tmp_path / "whole.gif").info.frames == 20
    content = (tmp_path / "whole.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(content[: int(share * len(content))])
    with pytest.raises(DecodeError, match="cut short"):
        read(tmp_path / "cut.gif")


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
def test_a_hole_in_a_matroska_file_loses_no_frame_in_silence(
    place: float, tmp_path: Path, make: Callable[..., Path]
) -> None:
    source = make("a.mkv", "-f", "lavfi", "-i", "testsrc=s=128x96:r=25:d=4", "-c:v", "libx264", "-g", "12")
    content = bytearray(source.read_bytes())
    start = int(place * len(content))
    content[start : start + 300] = bytes(range(256)) + bytes(44)
    (tmp_path / "b.mkv").write_bytes(content)
    with pytest.raises(DecodeError, match=r"damaged or cut short.*--allow-partial"):
        list(read(tmp_path / "b.mkv").frames())


def test_colours_that_cannot_become_rgb_are_named(make: Callable[..., Path]) -> None:
    tags = ("-vf", "format=yuv420p,setparams=colorspace=ycgco", "-c:v", "libx264")
    with pytest.raises(InputError, match="colour matrix is ycgco"):
        read(make("a.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2", *tags))


def test_a_cover_is_no_picture_track(tmp_path: Path, make: Callable[..., Path]) -> None:
    Image.new("RGB", (64, 64), (9, 99, 199)).save(tmp_path / "cover.jpg")
    sound = ("-f", "lavfi", "-i", "sine=440:d=1", "-i", str(tmp_path / "cover.jpg"), "-map", "0", "-map", "1")
    song = make("a.mp4", *sound, "-c:a", "aac", "-c:v", "copy", "-disposition:v", "attached_pic")
    with pytest.raises(InputError, match="no video track"):
        read(song)


def test_an_ffmpeg_that_is_not_there_is_said(make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source = make("a.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/no/such/ffmpeg")
    with pytest.raises(PnPVideoError, match="IMAGEIO_FFMPEG_EXE"):
        read(source)
