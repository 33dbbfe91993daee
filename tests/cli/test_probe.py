"""pnpvideo probe: on files made here, sound and unsound."""

import json
import subprocess
from pathlib import Path

import pytest
from pnpvideo.cli.main import main

from pnpvideo.video import ffmpeg

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames at 10 a second, 64 x 48, with a tone; another picture from frame 6 on."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    pictures = "testsrc=s=64x48:r=10:d=0.6[a];mandelbrot=s=64x48:r=10,trim=duration=0.6[b];[a][b]concat"
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1.2"]
    coded = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "aac", "-shortest"]
    command = [ffmpeg.executable(), "-nostdin", "-v", "error", *sound, "-filter_complex", pictures, *coded, str(path)]
    subprocess.run(command, check=True)
    return path


def test_json_says_what_would_be_read(clip: Path, capsys: Output) -> None:
    assert main(["probe", str(clip), "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert said.err == ""
    assert set(found) == {
        *("frames", "width", "height", "fps", "variable_rate", "duration_seconds", "audio", "shots", "drawings")
    }
    assert (found["frames"], found["width"], found["height"], found["fps"]) == (12, 64, 48, 10.0)
    assert found["variable_rate"] is False and found["duration_seconds"] == pytest.approx(1.2)
    assert [track["codec"] for track in found["audio"]] == ["aac"]
    assert found["shots"] == [{"start": 0, "end": 6}, {"start": 6, "end": 12}]


def test_a_person_reads_a_line_for_each_fact(clip: Path, capsys: Output) -> None:
    assert main(["probe", str(clip)]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["frames"], lines["width"], lines["fps"], lines["variable_rate"]) == ("12", "64", "10.0", "false")


@pytest.mark.parametrize("name", ["-i.mp4", "-y", "--help.mp4", "$(touch x);.mp4", "a b\nc.mp4", "%d*.mp4", "é" * 120])
def test_odd_names_are_files(clip: Path, capsys: Output, name: str) -> None:
    Path(name).write_bytes(clip.read_bytes())
    assert main(["probe", "--json", "--", name]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 12
    assert [path.name for path in Path().iterdir()] == [name]


def test_protocols_are_names_of_files_that_do_not_exist(capsys: Output) -> None:
    for name in ("file:clip.mp4", "concat:a.mp4|b.mp4", "data:video/mp4;base64,AAAA"):
        assert main(["probe", name]) == 3
        said = capsys.readouterr()
        assert "does not exist" in said.err and said.out == ""


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 100, b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_what_is_no_video_exits_with_3_and_one_line(capsys: Output, content: bytes) -> None:
    Path("clip.mp4").write_bytes(content)
    assert main(["probe", "clip.mp4", "--json"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("pnpvideo: clip.mp4 ") and said.err.count("\n") == 1


def test_a_truncated_file_exits_with_3_and_is_named(clip: Path, capsys: Output) -> None:
    Path("cut short.mp4").write_bytes(clip.read_bytes()[:-2000])
    assert main(["probe", "cut short.mp4"]) == 3
    said = capsys.readouterr()
    assert "cut short.mp4" in said.err and said.err.count("\n") == 1 and said.out == ""


def test_a_track_is_chosen_and_what_was_chosen_is_said(capsys: Output) -> None:
    sources = [
        option for size in ("32x24", "96x64") for option in ("-f", "lavfi", "-i", f"testsrc=s={size}:r=10:d=0.5")
    ]
    coded = ["-map", "0", "-map", "1", "-c:v", "mpeg4", "-disposition:v:0", "0", "-disposition:v:1", "default"]
    subprocess.run([ffmpeg.executable(), "-nostdin", "-v", "error", *sources, *coded, "two.mkv"], check=True)
    assert main(["probe", "two.mkv", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["width"] == 96 and "track 1 is read" in said.err and said.err.count("\n") == 1
    assert main(["probe", "two.mkv", "--json", "--track", "0"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["width"] == 32 and said.err == ""
    assert main(["probe", "two.mkv", "--track", "2"]) == 3
    assert "it has track 0 (mpeg4, 32x24)" in capsys.readouterr().err
    assert main(["probe", "two.mkv", "-q"]) == 0
    assert capsys.readouterr().err == ""
