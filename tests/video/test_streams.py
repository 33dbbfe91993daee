"""Streams as they are found: cut anywhere, joined, without an index, in HDR; and how a file's kind is told."""

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import DecodeError, InputError
from pnpvideo.events import Event
from pnpvideo.video import containers, ffmpeg, picture_formats
from pnpvideo.video.clip import Colour, Frame
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer

Make = Callable[..., Path]
SECOND = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1")
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "12")
TS = 188


def taken(path: Path, said: list[Event]) -> list[Frame]:
    return list(read(path, report=said.append).frames())


# A stream that begins in the middle


@pytest.mark.parametrize(
    "codec",
    [X264, ("-c:v", "mpeg2video", "-g", "12", "-bf", "2"), (*X264, "-x264-params", "open-gop=1:bframes=3")],
    ids=["h264", "mpeg2", "open"],
)
@pytest.mark.parametrize("aligned", [True, False])
def test_a_stream_that_begins_in_the_middle_is_read_from_its_first_keyframe(
    codec: tuple[str, ...], aligned: bool, make: Make
) -> None:
    whole = make("whole.ts", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=2", *codec)
    content, frames = whole.read_bytes(), taken(whole, [])
    cut = whole.with_name("cut.ts")
    packets = len(content) // TS // 5
    cut.write_bytes(content[packets * TS + (0 if aligned else 77) :])
    said: list[Event] = []
    left = taken(cut, said)
    assert 30 < len(left) < 50
    assert [frame.pts_seconds for frame in left] == [Fraction(k, 25) for k in range(len(left))]
    for ours, its in zip(left, frames[-len(left) :], strict=True):
        assert np.array_equal(ours.pixels, its.pixels)
    assert any("begins between two keyframes" in str(event) and "left out" in str(event) for event in said)


def test_a_stream_that_begins_with_a_keyframe_is_read_without_a_word(make: Make) -> None:
    said: list[Event] = []
    assert len(taken(make("a.ts", *SECOND, *X264), said)) == 25
    assert said == []


# Joined streams


def test_joined_pieces_are_read_as_one_and_said(make: Make) -> None:
    piece = make("a.ts", *SECOND, *X264)
    both = piece.with_name("both.ts")
    both.write_bytes(piece.read_bytes() * 2)
    said: list[Event] = []
    frames = taken(both, said)
    assert [frame.pts_seconds for frame in frames] == [Fraction(k, 25) for k in range(50)]
    assert np.array_equal(frames[30].pixels, frames[5].pixels)
    (notice,) = said
    assert "packet counter jumps once and its time stamps jump once; all 50 frames" in str(notice)


def test_the_sound_of_joined_pieces_is_kept_once_their_times_are_joined(make: Make) -> None:
    """Copied as it is, the second piece's sound would lie upon the first's."""
    sound = ("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")
    piece = make("a.ts", *SECOND, *sound, *X264)
    assert len(read(piece).info.audio) == 1
    both = piece.with_name("both.ts")
    both.write_bytes(piece.read_bytes() * 2)
    said: list[Event] = []
    assert read(both, report=said.append).info.audio == ()
    assert "its sound is left out; to keep it, join the times first: ffmpeg -i INPUT -c copy OUTPUT.mkv" in str(said)
    clip = read(make("joined.mkv", "-i", str(both), "-c", "copy"))
    assert (len(clip.info.audio), len(list(clip.frames()))) == (1, 50)


def test_what_cannot_be_decoded_in_the_middle_of_a_stream_is_damage(make: Make) -> None:
    whole = bytearray(make("a.ts", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", *X264).read_bytes())
    middle = len(whole) // 2 // TS * TS
    for place in range(middle, middle + 6 * TS, TS):
        whole[place + 60 : place + 150] = bytes(byte ^ 0x5A for byte in whole[place + 60 : place + 150])
    path = make("b.ts", *SECOND, *X264)
    path.write_bytes(whole)
    with pytest.raises(DecodeError, match=r"damaged or cut short; decoding failed at frame \d+"):
        read_all = taken(path, [])
        assert read_all == []


def test_packets_that_are_lost_in_whole_are_said(make: Make) -> None:
    """Each frame is one packet here, so that nothing of its neighbours is damaged."""
    path = make("a.ts", *SECOND, "-c:v", "mpeg2video", "-g", "1", "-q:v", "31", "-muxrate", "2M")
    content = path.read_bytes()
    packets = [content[k : k + TS] for k in range(0, len(content), TS)]
    starts = [k for k, packet in enumerate(packets) if packet[1] & 0x5F == 0x41 and packet[2] == 0]
    path.write_bytes(b"".join(packets[: starts[9]] + packets[starts[10] :]))
    said: list[Event] = []
    assert len(taken(path, said)) == 24
    assert any("1 frames seem to be missing" in str(event) and "before frame 9" in str(event) for event in said)


def test_a_matroska_file_without_its_last_cluster_is_said(make: Make) -> None:
    """All that is left is sound, so that no decoder complains."""
    path = make("a.mkv", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=2", "-c:v", "mpeg4", "-cluster_time_limit", "900")
    content = bytearray(path.read_bytes())
    last, end = content.rindex(b"\x1f\x43\xb6\x75"), content.rindex(b"\x1c\x53\xbb\x6b")  # a cluster, then the index
    content[last : last + 9] = b"\xec\x01" + (end - last - 9).to_bytes(7, "big")  # a void of the same size
    path.write_bytes(content)
    said: list[Event] = []
    assert len(taken(path, said)) < 50
    (notice,) = said
    assert "may not be whole: it states a length of 2.00 s, but its frames end at" in str(notice)


# Kinds of files


def test_an_avi_that_was_written_to_a_pipe_is_read_whole_and_a_cut_one_is_refused(make: Make, tmp_path: Path) -> None:
    piped = make("a.avi", *SECOND, "-c:v", "mpeg4", "-f", "avi", "-seekable", "0")
    content = bytearray(piped.read_bytes())
    content[4:8] = b"\xff" * 4
    end = content.rindex(b"idx1") if b"idx1" in content else len(content)
    for size in (b"\xff" * 4, b"\0" * 4):
        (tmp_path / "piped.avi").write_bytes(bytes(content[:4]) + size + bytes(content[8:end]))
        said: list[Event] = []
        assert len(taken(tmp_path / "piped.avi", said)) == 25
        assert ["states no size" in str(event) for event in said] == [True]
    whole = make("b.avi", *SECOND, "-c:v", "mpeg4").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[:-3000])
    with pytest.raises(DecodeError, match="cut short"):
        read(tmp_path / "cut.avi")


def jpegs(folder: Path, count: int, **options: Any) -> list[bytes]:
    made = []
    for k in range(count):
        Image.effect_mandelbrot((64, 48), (-2, -1.5 + k / 9, 1, 1.5), 30).convert("RGB").save(
            folder / "one.jpg", **options
        )
        made.append((folder / "one.jpg").read_bytes())
    return made


def test_a_stream_of_jpegs_is_a_video_of_25_a_second(tmp_path: Path) -> None:
    for name, between in (("a.mjpeg", b""), ("b.jpg", b"\0\0\0")):
        (tmp_path / name).write_bytes(between.join(jpegs(tmp_path, 7)))
        said: list[Event] = []
        frames = taken(tmp_path / name, said)
        assert [frame.pts_seconds for frame in frames] == [Fraction(k, 25) for k in range(7)]
        assert "25 frames a second are assumed" in str(said[0])
        assert not np.array_equal(frames[0].pixels, frames[6].pixels)


def test_thumbnails_inside_of_jpegs_are_no_pictures_of_a_stream(tmp_path: Path) -> None:
    thumbnail = jpegs(tmp_path, 1)[0]
    exif = b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
    pictures = jpegs(tmp_path, 3, exif=exif)
    assert pictures[0].count(b"\xff\xd8\xff") == 2
    (tmp_path / "one.jpg").write_bytes(pictures[0])
    assert read(tmp_path / "one.jpg").info.kind == "still"
    (tmp_path / "all.mjpeg").write_bytes(b"".join(pictures))
    assert len(taken(tmp_path / "all.mjpeg", [])) == 3


def test_a_jpeg_with_something_else_behind_it_is_a_still(tmp_path: Path) -> None:
    (picture,) = jpegs(tmp_path, 1, progressive=True)
    (tmp_path / "a.jpg").write_bytes(picture + b"\0\0\0\x18ftypmp42" + picture)
    assert read(tmp_path / "a.jpg").info.kind == "still"
    announced = picture[:2] + b"\xff\xe2\0\x08MPF\0\0\0" + picture[2:]
    (tmp_path / "b.jpg").write_bytes(announced + picture)
    assert not containers.is_jpeg_stream(tmp_path / "b.jpg")


def test_wmv_is_read_with_its_sound(make: Make) -> None:
    path = make("a.wmv", *SECOND, "-f", "lavfi", "-i", "sine=d=1", "-c:v", "wmv2", "-c:a", "wmav2")
    found = probe(path)
    assert (found.frames, found.fps, [track.codec for track in found.audio]) == (25, 25, ["wmav2"])


def test_an_avif_of_one_picture_is_a_still_and_an_animated_one_an_animation(tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (32, 24), (200, 30 * k, 40, 90)) for k in range(4)]
    pictures[0].save(tmp_path / "one.avif")
    assert read(tmp_path / "one.avif").info.kind == "still"
    pictures[0].save(tmp_path / "all.avif", save_all=True, append_images=pictures[1:], duration=100)
    clip = read(tmp_path / "all.avif")
    assert (clip.info.kind, clip.info.frames, clip.info.alpha) == ("animation", 4, True)


def test_a_heic_picture_is_named_and_not_read_as_a_video(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(InputError, match="HEIF picture"):
        read(tmp_path / "a.heic")


def samples(folder: Path, make: Make) -> dict[str, str | None]:
    """A file of every container, with ffmpeg's name for it, and of every picture format that can be written here."""
    expected: dict[str, str | None] = {}
    for name, demuxer, *codec in [
        ("a.mp4", "mov", *X264),
        ("a.mov", "mov", *X264),
        ("a.mkv", "matroska", *X264),
        ("a.webm", "matroska", "-c:v", "libvpx"),
        ("a.avi", "avi", "-c:v", "mpeg4"),
        ("a.wmv", "asf", "-c:v", "wmv2"),
        ("a.flv", "flv", "-c:v", "flv"),
        ("a.ogv", "ogg", "-c:v", "libtheora"),
        ("a.mpg", "mpeg", "-c:v", "mpeg2video"),
        ("a.ts", "mpegts", *X264),
        ("a.m2ts", "mpegts", "-mpegts_m2ts_mode", "1", *X264),
        ("a.mjpeg", "mjpeg", "-c:v", "mjpeg"),
    ]:
        if "libtheora" not in codec or "libtheora" in ffmpeg.encoders():
            make(name, *SECOND, *codec)
            expected[name] = demuxer
    picture = Image.effect_noise((64, 48), 90).convert("RGB")
    for suffix in (".png", ".jpg", ".gif", ".webp", ".avif", ".bmp", ".tif", ".ppm", ".jp2", ".qoi", ".dpx", ".exr"):
        if suffix in (".dpx", ".exr"):
            pixels = "gbrpf32le" if suffix == ".exr" else "rgb24"
            make("a" + suffix, *SECOND, "-frames:v", "1", "-update", "1", "-pix_fmt", pixels)
        elif suffix != ".qoi" or "QOI" in Image.SAVE:
            picture.save(folder / f"a{suffix}")
        if (folder / f"a{suffix}").exists():
            expected[f"a{suffix}"] = None
    return expected


def test_every_format_is_told_from_every_other(tmp_path: Path, make: Make) -> None:
    expected = samples(tmp_path, make)
    assert {demuxer for demuxer in expected.values() if demuxer} >= {row.demuxer for row in containers.CONTAINERS} - {
        "ogg"
    }
    for name, demuxer in expected.items():
        head = (tmp_path / name).read_bytes()[: containers.HEAD_BYTES]
        assert containers.demuxer_of(tmp_path / name, head) == demuxer, name
        rows = [row.name for row in containers.CONTAINERS if row.starts(head)]
        forms = [form.name for form in picture_formats.PICTURE_FORMATS if form.starts(head)]
        exact = 0 if demuxer == "mjpeg" else 1
        assert len(rows) == (exact if demuxer else 0) or forms == ["AVIF"], (name, rows)
        assert len(forms) == (1 if demuxer in (None, "mjpeg") else 0), (name, forms)


def test_marks_of_mpeg_ts_in_other_files_mean_nothing(tmp_path: Path, make: Make) -> None:
    for name in [name for name, demuxer in samples(tmp_path, make).items() if demuxer != "mpegts"]:
        content = bytearray((tmp_path / name).read_bytes())
        expected = containers.demuxer_of(tmp_path / name, bytes(content[: containers.HEAD_BYTES]))
        head = bytearray(content[: containers.HEAD_BYTES])
        head[188::188] = b"G" * len(head[188::188])
        if head[:3] != b"\xff\xd8\xff":
            assert containers.demuxer_of(tmp_path / name, bytes(head)) == expected, name
    noise = random.Random(0)
    for _ in range(300):
        head = bytearray(noise.randbytes(containers.HEAD_BYTES))
        for place in noise.sample(range(0, len(head), 188), 4):
            head[place] = ord("G")
        (tmp_path / "noise").write_bytes(head)
        assert containers.demuxer_of(tmp_path / "noise", bytes(head)) is None


def test_what_is_accepted_is_said_from_the_tables(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"hello\n" * 100)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.mp4")
    for name in [row.name for row in containers.CONTAINERS] + [form.name for form in picture_formats.PICTURE_FORMATS]:
        assert name in str(caught.value)


# HDR


def hdr(make: Make, transfer: str, *, primaries: str = "bt2020", level: str = "0x808080") -> Path:
    tags = f"setparams=color_primaries={primaries}:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    colour = (
        f"color={level}:s=64x48:r=25:d=0.2,format=gbrp,scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le"
    )
    return make("a.mp4", "-f", "lavfi", "-i", f"{colour},{tags}", "-c:v", "libx265", "-x265-params", "log-level=none")


@pytest.mark.parametrize(("transfer", "called"), [("smpte2084", "HDR (PQ)"), ("arib-std-b67", "HDR (HLG)")])
def test_hdr_becomes_sdr_and_is_said(transfer: str, called: str, make: Make, tmp_path: Path) -> None:
    said: list[Event] = []
    clip = read(hdr(make, transfer, level="0x40c040"), report=said.append)
    frames = list(clip.frames())
    assert called in str(said[0])
    assert clip.info.colour == Colour(matrix="bt709", primaries="bt709", transfer="bt709", full_range=False)
    red, green, _ = (int(value) for value in frames[0].pixels[20, 20])
    assert green - red > 0xC0 - 0x40 + 12, "a wide gamut's green, which is paler in the coded numbers than it is"
    with Writer(tmp_path / "out.mp4", clip.info) as writer:
        for frame in frames:
            writer.append(frame.pixels, frame.pts_seconds)
    written = read(tmp_path / "out.mp4")
    assert written.info.colour == clip.info.colour
    difference = next(written.frames()).pixels.astype(int) - frames[0].pixels
    assert np.abs(difference).max() <= 3, "the tags say what the pixels are"


def test_bt2020_in_sdr_becomes_bt709(make: Make) -> None:
    said: list[Event] = []
    clip = read(hdr(make, "bt2020-10", level="0x209020"), report=said.append)
    red, green, blue = (int(value) for value in next(clip.frames()).pixels[20, 20])
    assert "BT.2020" in str(said[0])
    assert clip.info.colour.primaries == "bt709"
    assert green > 0x90 and red < 0x20 and blue < 0x20, "its green lies outside of BT.709"


def test_hdr_without_the_filters_for_it_is_refused_with_the_line_that_converts(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hdr(make, "smpte2084")
    monkeypatch.setattr(ffmpeg, "filters", lambda: frozenset({"scale"}))
    with pytest.raises(InputError, match=r"lacks tonemap and zscale.*ffmpeg -i INPUT -vf zscale=.*tonemap=hable"):
        read(path)


# Limits, and what ffmpeg may open


def test_a_video_of_too_many_frames_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("a.mp4", *SECOND, *X264)
    monkeypatch.setattr("pnpvideo.video.decode_pass.MAX_FRAMES", 24)
    with pytest.raises(InputError, match="more than 24 frames"):
        taken(path, [])
    monkeypatch.setattr("pnpvideo.video.decode_pass.MAX_FRAMES", 25)
    assert len(taken(path, [])) == 25


def test_ffmpeg_opens_one_demuxer_and_local_files_only(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = make("a.mkv", *SECOND, *X264)
    see = ("-map", "0:v", "-c", "copy", "-f", "null", "-")
    assert ffmpeg.run([*ffmpeg.input_arguments(path, "matroska"), *see], 20)[0] == 0
    playlist = tmp_path / "list.txt"
    playlist.write_text("ffconcat version 1.0\nfile a.mkv\n", "utf-8")
    given = ffmpeg.input_arguments(playlist, "concat")
    assert ffmpeg.run([*given, *see], 20)[0] not in (0, None), "a demuxer of the list may not open another one"
    for spelled in ("data:a.mkv", "concat:a.mkv|a.mkv", "-i.mkv", "subfile,,start,0,end,0,,:a.mkv"):
        path.rename(tmp_path / spelled) if path.exists() else None
        path = tmp_path / spelled
        assert ffmpeg.run([*ffmpeg.input_arguments(Path(spelled), "matroska"), *see], 20)[0] == 0, spelled
    assert ffmpeg.file_url(Path("a.mkv")) == f"file:{tmp_path / 'a.mkv'}", "a drive's letter is no protocol either"
    arguments = ffmpeg.input_arguments(path, "matroska")
    assert arguments[arguments.index("-protocol_whitelist") + 1] == "file,pipe"
    assert arguments[arguments.index("-format_whitelist") + 1] == "matroska"


def test_the_range_of_the_output_is_limited(make: Make, tmp_path: Path) -> None:
    """Full-range sources too: players take no tag for limited."""
    clip = read(
        make("a.mp4", "-f", "lavfi", "-i", "color=white:s=64x48:r=25:d=0.2", "-c:v", "libx264", "-pix_fmt", "yuvj420p")
    )
    with Writer(tmp_path / "out.mp4", clip.info) as writer:
        for frame in clip.frames():
            writer.append(frame.pixels, frame.pts_seconds)
    luma = tmp_path / "luma"
    take = ["-i", f"file:{tmp_path / 'out.mp4'}", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", str(luma)]
    assert ffmpeg.run(take, 20)[0] == 0
    assert max(luma.read_bytes()[: 64 * 48]) <= 236
    assert read(tmp_path / "out.mp4").info.colour.full_range is False
