"""What goes into a file comes out of it: frames, times, size, colours, sound; and nothing half-made ever shows."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import EncodeError, OutputError
from pnpvideo.events import Event, Notice
from pnpvideo.video.clip import AudioTrack, ClipInfo, Colour
from pnpvideo.video.destination import check_output, report_left_out
from pnpvideo.video.encoder import Encoder
from pnpvideo.video.ffmpeg import executable
from pnpvideo.video.formats import UNREADABLE
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
VIDEOS = ["a.mp4", "a.mov", "a.mkv", "a.webm"]
ANIMATIONS = ["a.gif", "a.apng", "a.webp", "frames"]
Packets = Callable[..., list[tuple[int, Fraction]]]


def info_of(width: int, height: int, **known: object) -> ClipInfo:
    base = ClipInfo(path=None, kind="video", width=width, height=height, fps=Fraction(24))
    return ClipInfo(**{**vars(base), **known})


def smooth(width: int, height: int, k: int) -> np.ndarray:
    """A picture that all encoders hold well, another for each k."""
    columns, rows = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return np.dstack([60 + 120 * columns, 80 + 100 * rows, np.full_like(rows, 40 + 15 * k)]).astype(np.uint8)


@pytest.mark.parametrize("name", VIDEOS + ANIMATIONS)
@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 49), (66, 51)])
def test_size_times_and_pixels_come_back(name: str, width: int, height: int, tmp_path: Path) -> None:
    at = [Fraction(t, 24) for t in (0, 1, 2, 5, 9, 10)]
    tick = Fraction(1, 100) if name == "a.gif" else Fraction(1, 500)
    with Writer(tmp_path / name, info_of(width, height, variable_rate=True, loop=4)) as writer:
        for k, time in enumerate(at):
            writer.append(smooth(width, height, k), time, Fraction(1, 4) if time == at[-1] else None)
    clip = read(tmp_path / name)
    frames = list(clip.frames())
    assert [frame.pixels.shape for frame in frames] == [(height, width, 3)] * 6
    assert all(abs(frame.pts_seconds - time) <= tick / 2 for frame, time in zip(frames, at, strict=True))
    for k, frame in enumerate(frames):
        assert np.abs(frame.pixels.astype(int) - smooth(width, height, k)).mean() < 3
    if name in ANIMATIONS:
        assert frames[-1].duration_seconds is not None
        assert abs(frames[-1].duration_seconds - Fraction(1, 4)) <= tick
    if name in ANIMATIONS[:3]:
        assert clip.info.loop == 4
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", VIDEOS + ANIMATIONS[:-1])
def test_the_same_frames_are_the_same_bytes(name: str, tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        with Writer(tmp_path / name, info_of(64, 48), overwrite=True) as writer:
            for k in range(2):
                writer.append(smooth(64, 48, k), Fraction(k, 24))
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_rate_of_24000_over_1001_stays_exact(name: str, tmp_path: Path) -> None:
    info = info_of(64, 48, fps=Fraction(24000, 1001), time_base=Fraction(1, 24000))
    with Writer(tmp_path / name, info) as writer:
        for k in range(6):
            writer.append(smooth(64, 48, k), Fraction(1001 * k, 24000))
    assert [frame.pts_seconds for frame in read(tmp_path / name).frames()] == [
        Fraction(1001 * k, 24000) for k in range(6)
    ]


@pytest.mark.parametrize("name", ["a.mov", "a.mkv", "a.webm", "a.gif", "a.apng", "a.webp", "a.png", "frames"])
def test_alpha_is_kept_where_the_output_can_carry_it(name: str, tmp_path: Path) -> None:
    picture = np.dstack([smooth(64, 48, 3), np.zeros((48, 64), np.uint8)])
    picture[12:36, 16:48, 3] = 255
    with Writer(tmp_path / name, info_of(64, 48, alpha=True, frames=1)) as writer:
        writer.append(picture, 0)
    clip = read(tmp_path / name)
    back = next(clip.frames()).pixels
    assert clip.info.alpha
    assert back.shape == (48, 64, 4)
    assert back[24, 32, 3] > 250
    assert back[3, 3, 3] < 5


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_alpha_that_cannot_be_carried_is_composited_over_white(name: str, tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 4), np.uint8)
    picture[:, 32:] = (200, 40, 40, 255)
    with Writer(tmp_path / name, info_of(64, 48, alpha=True, frames=1)) as writer:
        writer.append(picture, 0)
    back = next(read(tmp_path / name).frames()).pixels.astype(int)
    assert np.abs(back[24, 8] - 255).max() <= 4
    assert np.abs(back[24, 56] - (200, 40, 40)).max() <= 8


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        (Colour(), ("bt709", "bt709", "bt709")),
        (Colour(matrix="smpte170m", primaries="smpte170m", transfer="smpte170m"), ("smpte170m",) * 3),
        (
            Colour(matrix="bt470bg", primaries="smpte432", transfer="iec61966-2-1", full_range=True),
            ("bt470bg", "smpte432", "iec61966-2-1"),
        ),
    ],
)
def test_colour_tags_are_the_sources_and_the_colours_agree_with_them(
    name: str, colour: Colour, expected: tuple[str, str, str], tmp_path: Path
) -> None:
    with Writer(tmp_path / name, info_of(64, 48, colour=colour)) as writer:
        writer.append(smooth(64, 48, 0), 0)
    clip = read(tmp_path / name)
    told = clip.info.colour
    assert (told.matrix, told.primaries, told.transfer, told.full_range) == (*expected, False)
    assert np.abs(next(clip.frames()).pixels.astype(int) - smooth(64, 48, 0)).mean() < 3


FLASHES = "color=black:s=64x48:r=25:d=2,geq=lum='if(eq(mod(N,25),12),235,16)':cb=128:cr=128"
BEEPS = "aevalsrc='0.8*sin(2*PI*1000*t)*between(mod(t,1),0.48,0.52)':s=48000:d=2"


def beeps_and_flashes(path: Path) -> tuple[list[float], list[float]]:
    """Times at which sound and light start, as the container counts, in seconds."""
    clip = read(path)
    lead = float(clip.info.first_pts_seconds)
    light = [float(f.pts_seconds) + lead for f in clip.frames() if f.pixels.mean() > 128]
    filters = ["-af", "aresample=48000:async=1:first_pts=0", "-ac", "1", "-f", "f32le", "pipe:1"]
    command = [executable(), "-v", "error", "-copyts", "-i", str(path), "-map", "0:a:0", *filters]
    sound = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)
    loud = np.flatnonzero(np.abs(sound) > 0.2) / 48000
    starts = loud[np.diff(loud, prepend=-1) > 0.2]
    return [float(start) for start in starts], light


@pytest.mark.parametrize("target", VIDEOS)
@pytest.mark.parametrize("case", ["plain", "sound late", "picture late", "span"])
def test_sound_stays_in_sync(case: str, target: str, tmp_path: Path, make: Callable[..., Path]) -> None:
    tracks = ("-f", "lavfi", "-i", FLASHES, "-f", "lavfi", "-i", BEEPS)
    source = make("plain.mp4", *tracks, *X264, "-g", "250", "-c:a", "aac")
    both = ("-map", "0:v", "-map", "1:a", "-c", "copy")
    if case == "sound late":
        source = make("late.mkv", "-i", str(source), "-itsoffset", "0.3", "-i", str(source), *both)
    if case == "picture late":
        source = make("early.mp4", "-itsoffset", "0.3", "-i", str(source), "-i", str(source), *both)
    clip = read(source, span=(5, 45) if case == "span" else None)
    out = tmp_path / target
    with Writer(out, clip.info, span_seconds=clip.span_seconds) as writer:
        for frame in clip.frames():
            writer.append(frame.pixels, frame.pts_seconds)
    sound_before, light_before = beeps_and_flashes(source)
    sound, light = beeps_and_flashes(out)
    shift = 0.2 if case == "span" else 0.0
    assert sound == pytest.approx([time - shift for time in sound_before], abs=0.005)
    assert light == pytest.approx([time - shift for time in light_before], abs=0.001)


def test_several_tracks_are_copied_bit_for_bit_or_transcoded_for_webm(
    tmp_path: Path, make: Callable[..., Path], packets: Packets
) -> None:
    inputs = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1"]
    inputs += ["-f", "lavfi", "-i", "sine=440:d=1", "-f", "lavfi", "-i", "sine=880:d=1"]
    source = make("a.mp4", *inputs, "-map", "0", "-map", "1", "-map", "2", *X264, "-c:a:0", "aac", "-c:a:1", "mp3")
    clip = read(source)
    assert [track.codec for track in clip.info.audio] == ["aac", "mp3"]
    for name in ("b.mp4", "b.mov", "b.mkv", "b.webm"):
        with Writer(tmp_path / name, clip.info) as writer:
            for frame in clip.frames():
                writer.append(frame.pixels, frame.pts_seconds)
        codecs = [track.codec for track in read(tmp_path / name).info.audio]
        assert codecs == (["opus", "opus"] if name == "b.webm" else ["aac", "mp3"])
        if name != "b.webm":
            for stream in ("a:0", "a:1"):
                sizes = [size for size, _ in packets(source, stream)]
                assert [size for size, _ in packets(tmp_path / name, stream)] == sizes


def test_sound_that_is_longer_or_shorter_than_the_picture_drops_no_frame(
    tmp_path: Path, make: Callable[..., Path]
) -> None:
    for seconds in (0.2, 3):
        tracks = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-f", "lavfi", "-i", f"sine=d={seconds}")
        clip = read(make("a.mp4", *tracks, *X264, "-c:a", "aac"))
        with Writer(tmp_path / "b.mp4", clip.info, overwrite=True) as writer:
            for frame in clip.frames():
                writer.append(frame.pixels, frame.pts_seconds)
        assert len(list(read(tmp_path / "b.mp4").frames())) == 25


def test_an_exception_leaves_nothing_and_the_old_file_intact(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.webp", "a.png", "frames"):
        with pytest.raises(KeyboardInterrupt), Writer(tmp_path / name, info_of(64, 48, frames=1)) as writer:
            writer.append(smooth(64, 48, 0), 0)
            raise KeyboardInterrupt
        assert os.listdir(tmp_path) == []
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(RuntimeError), Writer(tmp_path / "a.mp4", info_of(64, 48), overwrite=True) as writer:
        for k in range(4):
            writer.append(smooth(64, 48, k), Fraction(k, 24))
        assert (tmp_path / "a.mp4").read_bytes() == b"old"
        raise RuntimeError
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_no_frame_is_an_error_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="no frame"):
        Writer(tmp_path / "a.mp4", info_of(64, 48)).close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("moment", ["at once", "at the end", "killed"])
def test_an_encoder_that_dies_is_no_success(moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pnpvideo.video.ffmpeg import encoders

    encoders()  # asked of the real one
    script = {
        "at once": "sys.exit(9)",
        "at the end": "sys.stdin.buffer.read(); sys.exit(9)",
        "killed": "sys.stdin.buffer.read(20000); os.kill(os.getpid(), 9)",
    }[moment]
    folder = tmp_path / "out"
    folder.mkdir()
    writer = Writer(folder / "a.mp4", info_of(64, 48))
    fake = tmp_path / "dying-ffmpeg"
    fake.write_text(f"#!{sys.executable}\nimport os, sys\nsys.stderr.write('out of luck\\n')\n{script}\n", "utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake))
    with pytest.raises(EncodeError, match="out of luck") as caught, writer:
        for k in range(50):
            writer.append(smooth(64, 48, k % 8), Fraction(k, 24))
    assert str(-signal.SIGKILL if moment == "killed" else 9) in str(caught.value)
    assert os.listdir(folder) == []


def test_frames_that_the_encoder_swallows_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pnpvideo.video.ffmpeg import encoders

    encoders()
    folder = tmp_path / "out"
    folder.mkdir()
    writer = Writer(folder / "a.mp4", info_of(64, 48))
    fake = tmp_path / "forgetful-ffmpeg"
    fake.write_text(f"#!{sys.executable}\nimport sys\nsys.stdin.buffer.read()\nprint('frame=3')\n", "utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake))
    with pytest.raises(EncodeError, match="3 frames of 5"), writer:
        for k in range(5):
            writer.append(smooth(64, 48, k), Fraction(k, 24))
    assert os.listdir(folder) == []


def test_wrong_frames_are_refused(tmp_path: Path) -> None:
    refused: list[tuple[np.ndarray, int, str]] = [
        (np.zeros((48, 65, 3), np.uint8), 1, "accepted is uint8 of shape"),
        (np.zeros((48, 64, 3), np.float32), 1, "float32"),
        (np.zeros((48, 64, 4), np.uint8), 1, "channels"),
        (np.zeros((48, 64, 3), np.uint8), 0, "increase"),
    ]
    for pixels, time, message in refused:
        with pytest.raises(OutputError, match=message), Writer(tmp_path / "a.mp4", info_of(64, 48)) as writer:
            writer.append(smooth(64, 48, 0), 0)
            writer.append(pixels, time)
    assert os.listdir(tmp_path) == []


def test_outputs_that_cannot_be_are_refused_before_the_work(
    tmp_path: Path, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make("in.mp4", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2", *X264)
    clip = read(source).info
    os.link(source, tmp_path / "hard.mp4")
    (tmp_path / "soft.mp4").symlink_to(source)
    (tmp_path / "there.mp4").write_bytes(b"old")
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "diary.txt").write_text("dear", "utf-8")
    (tmp_path / "is.mp4").mkdir()
    before = sorted(os.listdir(tmp_path))
    for name, overwrite, message in [
        ("in.mp4", True, "is the input"),
        ("hard.mp4", True, "is the input"),
        ("soft.mp4", True, "is the input"),
        ("there.mp4", False, "exists; .* -y"),
        ("a.xyz", False, "accepted are .apng, .gif"),
        ("absent/a.mp4", False, "does not exist"),
        ("in.mp4/a.mp4", False, "does not exist"),
        ("a.png", False, "holds one picture"),
        ("things", True, "other things than frames"),
        ("is.mp4", True, "no regular file"),
        ("there.mp4/", True, "no folder"),
        ("a\0.mp4", False, "path"),
        ("x" * 260 + ".mp4", False, "too long"),
    ]:
        with pytest.raises(OutputError, match=message):
            check_output(f"{tmp_path}/{name}", clip, overwrite)
    check_output(tmp_path / "there.mp4", clip, True)
    check_output(tmp_path / "a.png", ClipInfo(**{**vars(clip), "frames": 1}))
    check_output(tmp_path / "a.mp4", None)
    assert sorted(os.listdir(tmp_path)) == before
    with pytest.raises(OutputError, match="60 frames a second"):  # viewers would show them at 10
        check_output(tmp_path / "a.gif", info_of(64, 48, fps=Fraction(60)))
    check_output(tmp_path / "a.gif", info_of(64, 48, fps=Fraction(50)))
    with pytest.raises(OutputError, match="up to 16383 pixels"):
        check_output(tmp_path / "a.webp", info_of(20000, 48))
    monkeypatch.setattr("pnpvideo.video.ffmpeg.encoders", lambda: frozenset({"libx264", "aac"}))
    with pytest.raises(OutputError, match="lacks the encoder libvpx-vp9"):
        check_output(tmp_path / "a.webm", clip)
    with_sound = ClipInfo(**{**vars(clip), "audio": (AudioTrack(codec="aac", description="aac"),)})
    monkeypatch.setattr("pnpvideo.video.ffmpeg.encoders", lambda: frozenset({"libvpx-vp9"}))
    with pytest.raises(OutputError, match="lacks the encoder libopus"):
        check_output(tmp_path / "a.webm", with_sound)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pnpvideo.publish.tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputError, match="cannot be written to: Permission denied"):
        check_output(tmp_path / "a.mp4", None)


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with (
        pytest.raises(EncodeError, match="No space left"),
        Writer(tmp_path / "a.png", info_of(64, 48, frames=1), overwrite=True) as writer,
    ):
        writer.append(smooth(64, 48, 0), 0)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_a_folder_of_frames_is_replaced_whole(tmp_path: Path) -> None:
    for count in (5, 2):
        with Writer(f"{tmp_path}/take.1/", info_of(64, 48), overwrite=True) as writer:
            for k in range(count):
                writer.append(smooth(64, 48, k), Fraction(k, 24))
        assert sorted(os.listdir(tmp_path / "take.1")) == [f"{k:06d}.png" for k in range(count)]
    assert os.listdir(tmp_path) == ["take.1"]
    with pytest.raises(OutputError, match="exists"):
        Writer(f"{tmp_path}/take.1/", info_of(64, 48))


def test_what_a_killed_run_left_does_not_disturb(tmp_path: Path) -> None:
    for name in ("a.mp4", "frames"):
        left = tmp_path / f".{name}.x1y2.part"
        left.mkdir()
        (left / name).write_bytes(b"half")
        (tmp_path / f".{name}.lock").write_bytes(b"")
    for name in ("a.mp4", "frames"):
        with Writer(tmp_path / name, info_of(64, 48)) as writer:
            writer.append(smooth(64, 48, 0), 0)
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "frames"]
    assert os.listdir(tmp_path / "frames") == ["000000.png"]


@pytest.mark.parametrize("name", ["a.mkv", "take"])
def test_one_output_is_written_by_one_run_at_a_time(name: str, tmp_path: Path) -> None:
    with Writer(tmp_path / name, info_of(64, 48)) as writer:
        writer.append(smooth(64, 48, 0), 0)
        with pytest.raises(OutputError, match="being written by another run"):
            Writer(tmp_path / name, info_of(64, 48))
    assert len(list(read(tmp_path / name).frames())) == 1
    with Writer(tmp_path / name, info_of(64, 48), overwrite=True) as writer:  # free again
        writer.append(smooth(64, 48, 0), 0)


def test_what_has_come_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists"), Writer(tmp_path / "a.mp4", info_of(64, 48)) as writer:
        writer.append(smooth(64, 48, 0), 0)
        (tmp_path / "a.mp4").write_bytes(b"another's")
    assert (tmp_path / "a.mp4").read_bytes() == b"another's" and os.listdir(tmp_path) == ["a.mp4"]


def test_a_folder_that_holds_the_input_is_refused(tmp_path: Path) -> None:
    for k in range(2):
        Image.fromarray(smooth(64, 48, k)).save(tmp_path / f"{k}.png")
    with pytest.raises(OutputError, match="holds the input"):
        check_output(f"{tmp_path}/", read(tmp_path / "1.png").info, overwrite=True)


def test_a_frame_too_short_for_a_gif_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"lasts 0\.0040 s"), Writer(tmp_path / "a.gif", info_of(64, 48)) as writer:
        for k, time in enumerate((Fraction(0), Fraction(4, 1000), Fraction(2, 25))):
            writer.append(smooth(64, 48, k), time)
    assert os.listdir(tmp_path) == []


def test_an_encoder_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pnpvideo.video.encoder.PATIENCE_SECONDS", 0.5)
    with pytest.raises(EncodeError, match="hangs at frame"), Writer(tmp_path / "a.mkv", info_of(640, 480)) as writer:
        writer.append(smooth(640, 480, 0), 0)
        writer.append(smooth(640, 480, 1), 1)
        encoder = writer._sink
        assert isinstance(encoder, Encoder)
        os.kill(encoder._child.process.pid, signal.SIGSTOP)
        for k in range(2, 9):
            writer.append(smooth(640, 480, k), k)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "span"), [("late.ts", None), ("late.ts", (5, 45)), ("a.flv", (0, 40)), ("late.mpg", (10, 45))]
)
def test_sound_stays_in_sync_whatever_the_container(
    name: str, span: tuple[int, int] | None, tmp_path: Path, make: Callable[..., Path]
) -> None:
    """Where times do not start at zero, or cannot be sought. Beeps and flashes are compared with one another."""
    tracks = ("-f", "lavfi", "-i", FLASHES, "-itsoffset", "0.4" if "late" in name else "0", "-f", "lavfi", "-i", BEEPS)
    codec = X264 if "mpg" not in name else ("-c:v", "mpeg2video", "-q:v", "2")
    source = make(name, *tracks, *codec, "-c:a", "mp2" if "mpg" in name else "aac")
    clip = read(source, span=span)
    with Writer(tmp_path / "out.mp4", clip.info, span_seconds=clip.span_seconds) as writer:
        for frame in clip.frames():
            writer.append(frame.pixels, frame.pts_seconds)
    sound_before, light_before = beeps_and_flashes(source)
    sound, light = beeps_and_flashes(tmp_path / "out.mp4")
    shift = light_before[0] - light[0]
    until = light_before[0] + ((span[1] if span else 99) - 12) / 25  # the first flash is frame 12
    assert sound == pytest.approx([time - shift for time in sound_before if time < until], abs=0.03)


def test_a_sound_track_that_ffmpeg_does_not_know_is_left_out(tmp_path: Path, make: Callable[..., Path]) -> None:
    inputs = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "sine=440:d=1"]
    source = make("a.mkv", *inputs, "-map", "0", "-map", "1", "-map", "1", *X264, "-c:a:0", "aac", "-c:a:1", "mp3")
    source.write_bytes(source.read_bytes().replace(b"A_AAC", b"A_ZZZ"))
    clip = read(source)
    assert [track.codec for track in clip.info.audio] == [UNREADABLE, "mp3"]
    for name in ("b.mp4", "b.mkv", "b.webm"):
        with Writer(tmp_path / name, clip.info) as writer:
            for frame in clip.frames():
                writer.append(frame.pixels, frame.pts_seconds)
        assert len(read(tmp_path / name).info.audio) == 1


@pytest.mark.parametrize(
    ("name", "frames", "others"),
    [
        ("b.mp4", 1, ".mov, .mkv, .webm, .gif, .apng, .webp, .png and folders of frames"),
        ("b.jpg", 1, ".mov, .mkv, .webm, .gif, .apng, .webp, .png and folders of frames"),
        ("b.m4v", 3, ".mov, .mkv, .webm, .gif, .apng, .webp and folders of frames"),
        ("b.mov", 3, None),
        ("b", 3, None),
    ],
)
def test_alpha_that_the_output_cannot_hold_is_said(name: str, frames: int, others: str | None, tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (8, 8), (200, 40, 40, 128 + k)) for k in range(frames)]
    pictures[0].save(tmp_path / "a.png", save_all=frames > 1, append_images=pictures[1:])
    said: list[Event] = []
    report_left_out(read(tmp_path / "a.png"), tmp_path / name, said.append)
    told = f"{name[1:]} has no transparency: what is transparent becomes white; {others} keep it"
    assert said == ([] if others is None else [Notice(message=told)])


@pytest.mark.parametrize(
    ("size", "name", "layout"),
    [
        ("853x480", "b.mp4", "yuv444p"),
        ("854x479", "b.mkv", "yuv444p"),
        ("854x480", "b.mp4", "yuv420p"),
        ("853x480", "b.webm", "yuv420p"),
    ],
)
def test_a_size_that_many_players_do_not_play_is_said(
    size: str, name: str, layout: str, tmp_path: Path, make: Callable[..., Path]
) -> None:
    source = make("a.avi", "-f", "lavfi", "-i", f"testsrc=s={size}:r=25:d=0.08", "-c:v", "ffv1")
    written(source, tmp_path / name)
    listing = subprocess.run([executable(), "-i", str(tmp_path / name)], capture_output=True, text=True).stderr
    assert f", {layout}(" in listing
    said: list[Event] = []
    report_left_out(read(source), tmp_path / name, said.append)
    assert [f"the result is {size}" in str(event) and ".webm" in str(event) for event in said] == (
        [True] if layout == "yuv444p" else []
    )


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv", "b.webm"])
def test_a_timecode_is_kept_unless_only_a_span_is_written(name: str, tmp_path: Path, make: Callable[..., Path]) -> None:
    inputs = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "sine=440:d=1"]
    said: list[Event] = []
    for given in ("a.mov", "a.mkv"):
        source = make(given, *inputs, *X264, "-c:a", "aac", "-metadata", "timecode=01:00:00:00")
        written(source, tmp_path / name)
        back = read(tmp_path / name).info
        assert (back.timecode, len(back.audio)) == ("01:00:00:00", 1)
        report_left_out(read(source), tmp_path / name, said.append)
        assert said == []
        written(source, tmp_path / name, (5, 20))
        assert read(tmp_path / name).info.timecode is None
        report_left_out(read(source, span=(5, 20)), tmp_path / name, said.append)
        assert "the timecode, 01:00:00:00, is left out: a span does not begin at it" in str(said.pop())
    report_left_out(read(source), tmp_path / "b.gif", said.append)
    assert "the timecode, 01:00:00:00, is left out: the output cannot hold it" in str(said)


def test_a_sound_track_that_ffmpeg_cannot_decode_is_left_out(tmp_path: Path, make: Callable[..., Path]) -> None:
    inputs = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "sine=440:d=1"]
    source = make("a.mp4", *inputs, "-map", "0", "-map", "1", "-map", "1", *X264, "-c:a", "aac")
    content = bytearray(source.read_bytes())
    for box, other in ((b"mp4a", b"apac"), (b"esds", b"free")):  # of the second track
        at = content.rfind(box)
        content[at : at + 4] = other
    source.write_bytes(content)
    clip = read(source)
    assert [track.codec for track in clip.info.audio] == ["aac", "apple_apac"]
    said: list[Event] = []
    for name in ("b.mp4", "b.mkv", "b.webm"):
        written(source, tmp_path / name)
        assert len(read(tmp_path / name).info.audio) == 1
        report_left_out(clip, tmp_path / name, said.append)
    assert {str(event) for event in said} == {
        str(Notice(message="sound track 1 (apple_apac) cannot be decoded by ffmpeg; it is left out"))
    }


@pytest.mark.parametrize(
    ("given", "sound", "output", "codec", "layout"),
    [
        ("a.mov", ["-c:a", "pcm_f32be"], "b.mkv", "flac", "mono"),
        ("a.avi", ["-ar", "8000", "-c:a", "libmp3lame"], "b.mp4", "aac", "mono"),
        ("a.mov", ["-af", "aformat=channel_layouts=7.1.4", "-c:a", "pcm_s16le"], "b.mp4", "aac", "7.1"),
        ("a.mov", ["-af", "aformat=channel_layouts=hexadecagonal", "-c:a", "pcm_s16le"], "b.mp4", "aac", "7.1"),
    ],
)
def test_sound_that_an_output_cannot_hold_as_it_is_becomes_what_it_can_hold(
    given: str, sound: list[str], output: str, codec: str, layout: str, tmp_path: Path, make: Callable[..., Path]
) -> None:
    inputs = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "sine=440:d=1"]
    written(make(given, *inputs, "-c:v", "mpeg4", *sound), tmp_path / output)
    (track,) = read(tmp_path / output).info.audio
    assert (track.codec, track.layout) == (codec, layout)


def test_nine_channels_without_places_are_mixed_to_two(tmp_path: Path, make: Callable[..., Path]) -> None:
    tone = 20000 * np.sin(np.arange(48000) / 20)
    (tmp_path / "raw").write_bytes(np.outer(tone, [1] + [0] * 8).astype(np.int16).tobytes())  # the first alone is heard
    inputs = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-f", "s16le", "-ar", "48000", "-ac", "9"]
    source = make("a.mov", *inputs, "-i", str(tmp_path / "raw"), "-c:v", "mpeg4", "-c:a", "pcm_s16le")
    assert read(source).info.audio[0].layout == "9 channels"
    written(source, tmp_path / "b.mp4")
    command = [executable(), "-v", "error", "-i", str(tmp_path / "b.mp4"), "-map", "0:a", "-f", "s16le", "-"]
    found = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.int16).reshape(-1, 2)
    assert found[4800:24000].max(0) == pytest.approx([4000, 0], abs=200)


def written(source: Path, output: Path, span: tuple[int, int] | None = None) -> None:
    """Write what is read, unchanged."""
    clip = read(source, span=span)
    with Writer(output, clip.info, overwrite=True, span_seconds=clip.span_seconds) as writer:
        for frame in clip.frames():
            writer.append(frame.pixels, frame.pts_seconds, frame.duration_seconds)


def test_sound_that_matroska_cannot_hold_is_transcoded(tmp_path: Path, make: Callable[..., Path]) -> None:
    inputs = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", "-f", "lavfi", "-i", "sine=440:d=1"]
    source = make("a.avi", *inputs, "-c:v", "mpeg4", "-c:a", "adpcm_ms")
    with Writer(tmp_path / "b.mkv", read(source).info) as writer:
        for frame in read(source).frames():
            writer.append(frame.pixels, frame.pts_seconds)
    assert read(tmp_path / "b.mkv").info.audio[0].codec == "flac"
