"""plan and bench, as a shell has them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from pnpvideo.cli.main import pnpvideo

from pnpvideo.engine.plan import Plan
from pnpvideo.events import Report
from pnpvideo.settings.options import Options

from .conftest import START_OF_VIDEO


def made(**given: int) -> Plan:
    usual = {"shots": 1, "windows": 1, "frames": 8, "drawings": 4, "width": 64, "height": 64, "steps": 20, "batch": 8}
    more = {"window": 48, "evaluations": 1200, "memory_bytes": 2**30, "disk_bytes": 2**20}
    return Plan(device="cpu", dtype="float32", seconds=100.0, **{**usual, **more, **given})


def test_a_plan_is_told_in_lines_or_as_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("clip.mp4").write_bytes(START_OF_VIDEO)
    seen: list[tuple[Path, Options]] = []

    def planned(source: Path, options: Options, report: Report) -> Plan:
        seen.append((source, options))
        return made()

    monkeypatch.setattr("pnpvideo.engine.plan.plan", planned)
    ran = CliRunner().invoke(pnpvideo, ["plan", "clip.mp4", "--preset", "best", "--memory", "2.5G", "-q"])
    assert ran.exit_code == 0, ran.output
    assert seen[0][0] == Path("clip.mp4") and (
        seen[0][1].sampling.preset,
        seen[0][1].runtime.memory,
    ) == ("best", 5 * 2**29)
    assert ran.output.splitlines() == [
        "input   8 frames, 4 drawings, 1 shots, 1 windows",
        "work    20 steps at 64 x 64, 1,200 network evaluations",
        "time    about 2 min, with 8 frames a network call in float32 on cpu",
        "memory  about 1.0 GiB for the model and its calls",
        "disk    1 MiB in the store",
    ]
    told = json.loads(CliRunner().invoke(pnpvideo, ["plan", "clip.mp4", "--json", "-q"]).stdout)
    assert (told["evaluations"], told["drawings"]) == (1200, 4)


def test_stable_diffusion_3_is_planned(clip_of: Callable[..., Path], joint_checkpoint: Path) -> None:
    """Half of its levels: three steps up, then three with two lanes, and the source's pass of the injection."""
    words = ["plan", str(clip_of(1)), "--model", str(joint_checkpoint), "--steps", "6", "--size", "32", "--json", "-q"]
    whole = ["--inversion-depth", "1", "--coherence", "none"]
    evaluations = []
    for more in (whole[2:], whole):
        ran = CliRunner().invoke(pnpvideo, [*words, "--device", "cpu", *more])
        assert ran.exit_code == 0, ran.output
        told = json.loads(ran.stdout)
        evaluations.append((told["steps"], told["evaluations"]))
    assert [steps for steps, _ in evaluations] == [3, 6]
    assert evaluations == [(3, 3 + 3 * 2 + 2), (6, 6 + 6 * 2 + 5)]


@pytest.mark.parametrize("text", ["much", "8X", "", "G"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    ran = CliRunner().invoke(pnpvideo, ["plan", "clip.mp4", "--memory", text])
    assert ran.exit_code == 2 and "such as 8G" in ran.output


def test_bench_names_its_recipes() -> None:
    ran = CliRunner().invoke(pnpvideo, ["bench", "--recipe", "magic"])
    assert ran.exit_code == 2 and "nothing is called 'magic'; there are: TokenFlow, as published" in ran.output


def test_bench_keeps_its_table_and_pictures(tmp_path: Path) -> None:
    recipes = tmp_path / "recipes.toml"
    recipes.write_text("[quick]\nsteps = 2\n")
    folder = tmp_path / "out"
    asked = ["bench", "--length", "2", "--pixels", "64", "--split", "tuning", "--recipes", str(recipes), "-q"]
    ran = CliRunner().invoke(pnpvideo, [*asked, "-o", str(folder)])
    assert ran.exit_code == 0, ran.output
    assert "| quick | 8 |" in ran.output  # of two frames: two inversion steps, two of three lanes
    assert {path.name for path in folder.iterdir()} == {
        *("table.md", "figures.json", "speed.png", "cartoon-to-photo.png", "journal.jsonl")
    }
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["figures"]["cartoon to photo"]["quick"]["evaluations"] == 8
    assert {"device", "cores", "threads", "versions"} <= set(figures["protocol"]["machine"])


def test_an_edit_is_planned_as_edit_would_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("clip.mp4").write_bytes(START_OF_VIDEO)
    seen: list[Options] = []

    def planned(source: Path, options: Options, report: Report) -> Plan:
        seen.append(options)
        return made()

    monkeypatch.setattr("pnpvideo.engine.plan.plan", planned)
    asked = ["plan", "clip.mp4", "--from", "ball", "--to", "cube", "--keep-background", "-q"]
    for more in ([], ["--method", "pnp"]):
        ran = CliRunner().invoke(pnpvideo, [*asked, *more])
        assert ran.exit_code == 0, ran.output
    assert [(options.prompts.change, options.flat()["method"]) for options in seen] == [
        (("ball", "cube"), "pix2pix-zero"),
        (("ball", "cube"), "pnp"),
    ]
    ran = CliRunner().invoke(pnpvideo, asked[:4])
    assert ran.exit_code == 2 and "give --from and --to together" in ran.output
