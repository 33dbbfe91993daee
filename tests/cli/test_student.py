"""pnpvideo distill, apply and translate --student: from words to the room, and to files and pipes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pnpvideo.cli.main import main

from pnpvideo.student.network import Generator, Shape
from pnpvideo.student.student_file import Student, StudentCard, load_student, save_student

Output = pytest.CaptureFixture[str]


@pytest.fixture
def student(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    shape = Shape((8, 8), style=8)
    card = StudentCard(shape=shape, size=(32, 32), about="a test")
    save_student(Student(Generator(shape), card), tmp_path / "student")
    return tmp_path / "student"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def test_a_still_is_translated(student: Path, picture: Path, tmp_path: Path, capsys: Output) -> None:
    assert main(["apply", str(student), str(picture), "-o", str(tmp_path / "out.png"), "--size", "32"]) == 0
    with Image.open(tmp_path / "out.png") as result:
        assert result.size == (64, 64)
    assert "wrote" in capsys.readouterr().err


def test_raw_frames_go_from_pipe_to_pipe(student: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, 3 * 32 * 32 * 3, np.uint8).tobytes()
    code = "import sys; from pnpvideo.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "apply", str(student), "-", "-o", "-", "--raw", "32x32", "-q"]
    done = subprocess.run(command, input=frames, capture_output=True, check=True)
    assert len(done.stdout) == len(frames) and done.stdout != frames


def test_raw_frames_go_to_a_file(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.raw").write_bytes(bytes(2 * 32 * 32 * 3))
    words = ["apply", str(student), str(tmp_path / "in.raw"), "-o", str(tmp_path / "out.raw"), "--raw", "32x32"]
    assert main(words) == 0 and len((tmp_path / "out.raw").read_bytes()) == 2 * 32 * 32 * 3
    assert main(words) == 6
    assert main([*words, "-y"]) == 0
    words[2] = "-"  # a pipe from which nothing may be read: what comes from a camera would be lost
    monkeypatch.setattr("sys.stdin", None)
    assert main(words) == 6


def test_a_broken_output_pipe_is_no_fault_of_the_input(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    (tmp_path / "in.raw").write_bytes(bytes(2 * 32 * 32 * 3))
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        status = main(["apply", str(student), str(tmp_path / "in.raw"), "-o", "-", "--raw", "32x32", "-q"])
    assert (status, capsys.readouterr().err) == (6, "pnpvideo: the output pipe cannot be written: Broken pipe\n")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux: /proc/self/mem opens but cannot be read")
def test_an_input_that_fails_on_the_way_is_no_fault_of_the_output(
    student: Path, tmp_path: Path, capsys: Output
) -> None:
    words = ["apply", str(student), "/proc/self/mem", "-o", str(tmp_path / "out.raw"), "--raw", "32x32"]
    assert main(words) == 3 and "/proc/self/mem cannot be read: Input/output error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["apply", "student", "-", "-o", "out.mp4"], 2, "give their size with --raw WxH"),
        (["apply", "student", "in.png", "-o", "out.raw", "--raw", "32"], 2, "accepted is WIDTHxHEIGHT"),
        (["apply", "student", "in.png", "-o", "out.raw", "--raw", "99999x99999"], 2, "accepted is WIDTHxHEIGHT"),
        (["apply", "student", "in.png", "-o", "out.raw", "--raw", "²x²"], 2, "accepted is WIDTHxHEIGHT"),
        (["apply", "student", "in.png", "-o", "out.raw", "--raw", "9" * 5000 + "x1"], 2, "accepted is WIDTHxHEIGHT"),
        (["apply", "student", "in.png", "-o", "no/out.raw", "--raw", "32x32"], 6, "does not exist; make it first"),
        (["apply", "student", "in.png", "-o", "student", "--raw", "32x32"], 6, "is no regular file"),
        (
            ["apply", "student", "in.png", "-o", "out.png", "--device", "foo"],
            5,
            "accepted: auto, cpu, cuda, cuda:N, mps",
        ),
        (["apply", "student", "in.png", "-o", "out.png", "--device", "cuda:77"], 5, "this machine does not have"),
        (["apply", "student", "none.raw", "-o", "out.raw", "--raw", "32x32"], 3, "none.raw cannot be read"),
        (["apply", "student", "none.mp4", "-o", "out.mp4"], 3, "none.mp4"),
        (["apply", "nobody", "in.png", "-o", "out.png"], 4, "'pnpvideo distill' makes one"),
        (["distill", "in", "-o", "s"], 2, "give either PROMPT, or --from and --to"),
        (["distill", "in", "a fox", "--from", "a", "--to", "b", "-o", "s"], 2, "give either PROMPT, or --from"),
        (["distill", "in", "a fox", "-o", "s", "--pairs", "1"], 2, "--pairs"),
        (["distill", "in", "a fox", "-o", "s", "--least-overlap", "0.7"], 2, "name it with --thing"),
        (["translate", "--generate", "a fox", "--source-prompt", "a ball", "-o", "o.png", "--student"], 2, "--student"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str],
    status: int,
    told: str,
    student: Path,
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == status
    assert told in capsys.readouterr().err
    assert not any((tmp_path / name).exists() for name in ("out.mp4", "out.raw", "out.png", "s"))


def test_a_student_is_distilled_from_the_command_line(checkpoint: Path, tmp_path: Path, capsys: Output) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(np.full((64, 64, 3), 90 * number, np.uint8)).save(folder / f"{number}.png")
    words = ["distill", str(folder), "a fox", "-o", str(tmp_path / "s"), "--model", str(checkpoint), "--pairs", "2"]
    words += ["--steps", "2", "--source-prompt", "a ball", "--train-steps", "1", "--least-gain", "-2"]
    assert main([*words, "--store", str(tmp_path / "store")]) == 0
    assert "psnr_to_teacher" in capsys.readouterr().out
    assert load_student(tmp_path / "s").card.about == "a fox"


def test_a_clip_gets_a_student_of_its_own(
    checkpoint: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.full((64, 64, 3), 60 * number, np.uint8)).save(folder / f"{number}.png")
    words = ["translate", str(folder), "a fox", "-o", str(tmp_path / "out"), "--model", str(checkpoint), "--steps", "2"]
    words += ["--source-prompt", "a ball", "--store", str(tmp_path / "store"), "--json", "--student"]
    monkeypatch.setattr("pnpvideo.student.clip.STEPS", 3)
    assert main(words) == 0
    assert '"student"' in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


@pytest.mark.parametrize("stage", [pytest.param("teach", marks=pytest.mark.slow), "train"])
def test_a_killed_distillation_goes_on_to_the_same_student(stage: str, checkpoint: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(inputs / f"{number}.png")
    code = "import sys, pnpvideo.student.distill as d; from pnpvideo.cli.main import main; d.SAVE_SECONDS = 0.0;"
    asked = ["--model", str(checkpoint), "--source-prompt", "a ball", "--steps", "2", "--size", "64", "--pairs", "3"]
    words = ["distill", str(inputs), "a fox", *asked, "--train-steps", "6", "--least-gain=-2", "--progress", "json"]

    def command(name: str) -> list[str]:
        own = ["-o", str(tmp_path / name), "--store", str(tmp_path / f"{name}-store")]
        return [sys.executable, "-c", f"{code} sys.exit(main(sys.argv[1:]))", *words, *own]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command("whole"), check=True, env=environment, capture_output=True)
    with subprocess.Popen(command("resumed"), stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        seen = 0
        for line in process.stderr:
            seen += f'"{stage}"' in line
            if seen == 2:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "resumed").exists()
    done = subprocess.run(command("resumed"), check=True, env=environment, capture_output=True, text=True)
    assert ("training goes on at step" in done.stderr) == (stage == "train")
    one, other = (tmp_path / name / "student.safetensors" for name in ("whole", "resumed"))
    assert one.read_bytes() == other.read_bytes()
