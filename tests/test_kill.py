"""kill -9 in the middle of a translation: the next run goes on, and its file is the uninterrupted run's."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

STEPS = 8


def command(source: Path, output: Path, checkpoint: Path, store: Path) -> list[str]:
    asked = [
        "--model",
        str(checkpoint),
        "--source-prompt",
        "",
        "--steps",
        str(STEPS),
        "--keyframe-every",
        "3",
        "--store",
        str(store),
    ]
    words = ["translate", str(source), "a ball", "-o", str(output), *asked, "--progress", "json"]
    return [
        sys.executable,
        "-c",
        "import sys, pnpvideo.engine.checkpoints as kept; from pnpvideo.cli.main import main; kept.SECONDS = 0.0;"
        "sys.exit(main(sys.argv[1:]))",
        *words,
    ]


@pytest.mark.parametrize("stage", ["invert", pytest.param("sample", marks=pytest.mark.slow)])
def test_a_killed_run_is_resumed_to_the_same_file(
    stage: str, checkpoint: Path, clip_of: Callable[..., Path], tmp_path: Path
) -> None:
    source = clip_of(5)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole, resumed = tmp_path / "whole.mp4", tmp_path / "resumed.mp4"
    subprocess.run(command(source, whole, checkpoint, tmp_path / "store1"), check=True, env=environment)

    again = command(source, resumed, checkpoint, tmp_path / "store2")
    with subprocess.Popen(again, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        steps = 0
        for line in process.stderr:
            steps += f'"{stage}"' in line
            if steps == STEPS // 2:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL and not resumed.exists()

    done = subprocess.run(again, check=True, env=environment, stderr=subprocess.PIPE, text=True)
    assert "reusing" in done.stderr
    assert ("resuming" in done.stderr) == (stage == "sample")
    assert resumed.read_bytes() == whole.read_bytes()
