"""A signal at any moment after the start: the right exit status, one line, and nothing left behind."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
STARTED = "import sys; from pnpvideo.__main__ import main; print('on', flush=True); sys.exit(main())"


def stopped(words: list[str], number: signal.Signals, seconds: float, folder: Path) -> tuple[int, str]:
    """Exit status and standard error of a command that a signal reaches so long after its first line."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", STARTED, *words]
    with subprocess.Popen(
        command, text=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 + seconds)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert list(temporary.iterdir()) == []
    return process.returncode, said


def check(words: list[str], number: signal.Signals, seconds: float, folder: Path) -> None:
    before = {path.name for path in folder.iterdir()} | {"tmp", "store", "out.mp4", "out.mp4.json"}
    status, said = stopped(words, number, seconds, folder)
    ended = status == 0  # it was through before the signal came
    assert ended or status == STATUS[number], (seconds, status, said)
    last = said.strip().splitlines()[-1] if said.strip() else ""
    assert ended or last.startswith("pnpvideo: "), said
    assert "Traceback" not in said and "Error" not in said
    assert {path.name for path in folder.iterdir()} <= before
    if "probe" in words:
        assert "goes on from what was kept" not in said


def commands(source: Path, folder: Path) -> list[list[str]]:
    asked = ["--size", "64", "--steps", "40", "--store", str(folder / "store"), "--source-prompt", "a ball"]
    return [
        ["probe", str(source)],
        ["translate", str(source), "a photo of a ball", "-o", str(folder / "out.mp4"), *asked],
    ]


@pytest.mark.parametrize("number", STATUS)
def test_a_signal_while_modules_load(number: signal.Signals, clip_of: Callable[..., Path], tmp_path: Path) -> None:
    source = clip_of(3)
    probe, translate = commands(source, tmp_path)
    check(probe, number, 0.0, tmp_path)
    check(translate, number, 0.3, tmp_path)


@pytest.mark.parametrize("number", STATUS)
def test_a_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    """Work that does not stop at the first one is not waited for."""
    code = (
        "import time\n"
        "from pnpvideo.cli.interrupt import interruptible\n"
        "with interruptible(grace_seconds=600):\n"
        "    while True:\n"
        "        try:\n"
        "            print('on', flush=True)\n"
        "            time.sleep(600)\n"
        "        except BaseException:\n"
        "            pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()  # it works, and after the first signal works on
            process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == STATUS[number] and b"stopped at once" in said


def test_a_signal_that_is_ignored_from_the_start_stays_ignored(clip_of: Callable[..., Path], tmp_path: Path) -> None:
    """As by nohup."""
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN);" + STARTED
    command = [sys.executable, "-c", code, "probe", str(clip_of(3))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize("command", [0, 1])
def test_a_signal_at_many_moments(
    command: int, number: signal.Signals, clip_of: Callable[..., Path], tmp_path: Path
) -> None:
    draw, source = random.Random(int(number)), clip_of(200)
    for _ in range(20):
        check(commands(source, tmp_path)[command], number, 3 * draw.random(), tmp_path)


@pytest.mark.parametrize("kind", ["device", "pipe", "large", "deep", "dotted", "number", "bytes"])
def test_a_file_of_options_that_is_none_is_one_line_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    if kind == "device":
        path = Path("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(7 << 30)  # no disk is used
    elif kind == "deep":
        path.write_text("a = " + "[" * 9_000 + "]" * 9_000)
    elif kind == "dotted":
        path.write_text(".".join("a" * 20_000) + " = 1")
    elif kind == "number":
        path.write_text("steps = 0x" + "f" * 10_000)
    else:
        path.write_bytes(b"\xff\xfe\x00")
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30,) * 2);"
    code += "from pnpvideo.__main__ import main; sys.exit(main())"
    words = ["translate", "in.mp4", "a ball", "-o", str(tmp_path / "out.mp4"), "--config", str(path)]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and done.stderr.startswith("pnpvideo: ") and done.stderr.count("\n") == 1
    assert path.name in done.stderr


def test_a_value_of_a_file_that_cannot_be_read_names_file_and_option(tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    path.write_text('memory = "much"')
    words = ["translate", "in.mp4", "a ball", "-o", str(tmp_path / "out.mp4"), "--config", str(path)]
    done = subprocess.run([sys.executable, "-m", "pnpvideo", *words], capture_output=True, text=True)
    assert done.returncode == 2 and "options.toml: memory: " in done.stderr
