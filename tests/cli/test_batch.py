"""batch, as a shell has it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from pnpvideo.cli.main import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def jobs(checkpoint: Path) -> list[str]:
    """A jobs file of two rows, of which the second fails, and flags of a quick run."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (48, 32), (200, 90, 40)).save(name)
    Path("b.png").write_bytes(Path("b.png").read_bytes()[:60])
    Path("jobs.csv").write_text("input,prompt,output\na.png,a fox,a-fox.png\nb.png,a fox,b-fox.png\n", "utf-8")
    small = ["--model", str(checkpoint), "--size", "16", "--steps", "1", "--source-prompt", ""]
    return ["batch", "jobs.csv", *small]


def test_a_row_that_fails_is_named_and_the_others_are_done(jobs: list[str], capsys: Output) -> None:
    assert main([*jobs, "--dry-run"]) == 0
    assert [line.split()[:5] for line in capsys.readouterr().out.splitlines()] == [
        ["line", "2", "(a.png)", "to", "do"],
        ["line", "3", "(b.png)", "to", "do"],
    ]
    assert main(jobs) == 7
    said = capsys.readouterr()
    first, second = said.out.splitlines()
    assert first.split()[:4] == ["line", "2", "(a.png)", "done"] and first.endswith(" s  a-fox.png")
    assert second.split()[:5] == ["line", "3", "(b.png)", "failed", "b-fox.png:"]
    assert said.err.splitlines()[-1] == "pnpvideo: 1 of 2 rows failed: line 3 (b.png)"
    assert main([*jobs, "--json", "--progress", "json"]) == 7
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["counts"] == {"done before": 1, "failed": 1} and report["rows"][1]["exit_code"] == 3
    assert json.loads(said.err.splitlines()[-1])["error"] == "BatchError"
    Image.new("RGB", (48, 32), (20, 90, 40)).save("b.png")
    assert main(jobs) == 0
    assert "all 2 rows are done" in capsys.readouterr().err


def test_a_wrong_jobs_file_is_one_line(jobs: list[str], capsys: Output) -> None:
    Path("jobs.csv").write_text("input,promt\na.png,a fox\n", "utf-8")
    assert main([*jobs, "-q"]) == 2
    assert capsys.readouterr().err == "pnpvideo: jobs.csv: line 2: unknown key 'promt'; is it 'prompt'?\n"
    assert main(["batch", "none.toml", "-q"]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_an_address_without_its_engine_is_refused(jobs: list[str], capsys: Output) -> None:
    assert main([*jobs, "--address", "10.0.0.1:6379"]) == 2
    assert "say --engine ray too" in capsys.readouterr().err


def test_a_wrong_jobs_file_is_said_before_any_library_loads(jobs: list[str]) -> None:
    Path("jobs.csv").write_text("input,promt\na.png,a fox\n", "utf-8")
    program = (
        "import sys; from pnpvideo.cli.main import main; ended = main(['batch', 'jobs.csv']); "
        "print(ended, [name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n"


def test_variables_and_files_of_options_count(jobs: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pnpvideo.toml").write_text("guidance = 2\nseed = 2\n", "utf-8")
    monkeypatch.setenv("PNPVIDEO_SEED", "5")
    assert main([*jobs, "-q"]) == 7
    facts = json.loads(Path("a-fox.png.json").read_text("utf-8"))
    assert (facts["resolved"]["guidance"], facts["origins"]["guidance"]) == (2, "pnpvideo.toml")
    assert (facts["resolved"]["seed"], facts["origins"]["seed"]) == (5, "variable PNPVIDEO_SEED")
