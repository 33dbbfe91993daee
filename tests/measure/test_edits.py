"""The benchmark of edits: its ground truth, its figures and its command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pnpvideo.cli.main import pnpvideo

from pnpvideo.errors import OptionError
from pnpvideo.measure import edits
from pnpvideo.measure.edit_tasks import CLIPS, STILLS, TASKS, EditRecipe, EditTask
from pnpvideo.measure.edits import EditsOptions, edit_figures
from pnpvideo.measure.figures import nanmean
from pnpvideo.measure.inversion import noise_figures
from pnpvideo.measure.judge import Judge

BALL, RED, CARTOON, DAY = TASKS


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def test_source_and_truth_differ_only_in_the_edit() -> None:
    for task in TASKS:
        footage = EditsOptions(size=96).footage(task, 1)
        assert footage.before is not None
        differs = np.abs(footage.source[0].astype(int) - footage.truth[0]).max(2) > 24
        assert differs.any()
        if task in (BALL, RED):  # but for shadows, of which a margin holds what is near
            assert differs[footage.outside[0]].mean() < 0.05
            assert footage.before.ground == footage.scene.ground and footage.before.sky == footage.scene.sky
        assert task.before in footage.source_prompt or task is DAY
        assert task.replace_words(footage.source_prompt) == footage.prompt


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_truth_scores_as_an_edit_and_the_source_does_not(judge: Judge, task: EditTask) -> None:
    rows: dict[str, list[dict[str, float]]] = {"truth": [], "source": [], "grey": []}
    for number in range(8):
        footage = EditsOptions(size=128).footage(task, number)
        grey = [np.full_like(footage.source[0], 128)]
        for name, result in (("truth", footage.truth), ("source", footage.source), ("grey", grey)):
            rows[name].append(edit_figures(judge, task, footage, result))
    found = {name: {key: nanmean([row[key] for row in each]) for key in each[0]} for name, each in rows.items()}
    assert found["truth"]["accuracy"] > 0.6 > 0.2 > found["source"]["accuracy"]
    assert found["truth"]["background"] == 0 <= found["source"]["background"] < found["grey"]["background"]
    assert found["source"]["structure"] == 0 < found["truth"]["structure"] < found["grey"]["structure"]
    assert found["truth"]["found"] > found["source"]["found"] > found["grey"]["found"]


def test_the_warp_error_of_a_clip_is_measured(judge: Judge) -> None:
    footage = EditsOptions(frames=3, size=96).footage(RED, 3)
    true = edit_figures(judge, RED, footage, footage.truth)
    shaken = [np.roll(frame, 6 * index, 1) for index, frame in enumerate(footage.truth)]
    assert true["warp"] < edit_figures(judge, RED, footage, shaken)["warp"]
    assert "warp" not in edit_figures(judge, RED, EditsOptions(size=96).footage(RED, 3), footage.truth[:1])


def test_a_caption_that_does_not_mention_the_value_is_unchanged() -> None:
    assert BALL.replace_words("a photo of a red ball on grass") == "a photo of a red cube on grass"
    assert BALL.replace_words("a photo of a red cone on grass") == "a photo of a red cone on grass"


def test_recipes_edit_by_direction_or_by_prompt() -> None:
    assert not EditRecipe.of({"method": "pix2pix-zero"}).by_prompt and EditRecipe.of({"method": "sdedit"}).by_prompt
    assert {recipe.by_prompt for recipe in STILLS.values()} == {True, False} and not CLIPS[
        "pix2pix-zero, flow"
    ].by_prompt


BRIEF = [
    *[
        "measure",
        "edits",
        "--pictures",
        "2",
        "--pixels",
        "64",
        "--steps",
        "2",
        "--split",
        "tuning",
        "--progress",
        "none",
        "--task",
    ],
    "red to blue",
]


def test_the_command_prints_baselines_and_recipes_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "SHOWN", 1)
    out = tmp_path / "out"
    names = ("pix2pix-zero", "words swapped, ddim")
    asked = [*BRIEF, *(part for name in names for part in ("--recipe", name)), "-o", str(out)]
    ran = CliRunner().invoke(pnpvideo, asked)
    assert ran.exit_code == 0, ran.output
    assert "### red to blue" in ran.stdout and "| edit accuracy |" in ran.stdout
    found = json.loads((out / "figures.json").read_text())
    assert set(found["figures"]["red to blue"]) == {"truth", "source", "source, autoencoder", *names}
    assert (out / "red-to-blue.png").exists()

    made, plain = [], edits.make_editor

    def counted(*given: Any) -> Any:
        edit = plain(*given)

        def counting(*asked: Any) -> list[np.ndarray]:
            made.append(asked)
            return edit(*asked)

        return counting

    monkeypatch.setattr(edits, "make_editor", counted)
    again = CliRunner().invoke(pnpvideo, [*asked, "--json"])
    assert json.loads(again.stdout)["figures"] == found["figures"]
    assert len(made) == len(names)  # of two pictures the first, which is shown, is made again


def test_clips_have_their_own_default_recipes(tmp_path: Path) -> None:
    ran = CliRunner().invoke(pnpvideo, [*BRIEF, "--pictures", "1", "--length", "2", "-o", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    assert all(f"| {name} |" in ran.stdout for name in CLIPS) and "| warp x 1000 |" in ran.stdout


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        ('["truth"]\nsteps = 2', "a recipe is called 'truth', as a baseline is"),
        ('["mine"]\nsource_prompt = "a"', "mine: source_prompt is set, which the benchmark itself sets"),
        ("", "there is no recipe to measure"),
    ],
)
def test_an_invalid_recipe_is_refused(recipes: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipes.toml"
    path.write_text(recipes)
    ran = CliRunner().invoke(pnpvideo, [*BRIEF, "--recipes", str(path)])
    assert isinstance(ran.exception, OptionError) and message in str(ran.exception)


def test_an_unknown_task_is_refused() -> None:
    ran = CliRunner().invoke(pnpvideo, ["measure", "edits", "--task", "lead to gold"])
    assert ran.exit_code == 2 and "nothing is called 'lead to gold'; there are: ball to cube" in ran.output


def test_whiteness_of_noise() -> None:
    white = torch.randn((2, 4, 32, 32), generator=torch.Generator().manual_seed(0))
    plain, wide = noise_figures(white), noise_figures(3 * white + 0.5)
    assert abs(plain["noise_variance"] - 1) < 0.05 and plain["noise_correlation"] < 0.05
    assert wide["noise_variance"] == pytest.approx(9 * plain["noise_variance"], rel=1e-4)
    assert wide["noise_mean"] == pytest.approx(0.5, abs=0.1)
    smooth = torch.nn.functional.avg_pool2d(white, 3, 1, 1)
    assert noise_figures(smooth)["noise_correlation"] > 0.5


def test_the_command_measures_inversion() -> None:
    asked = ["measure", "inversion", "--pictures", "1", "--pixels", "128", "--steps", "4", "--json"]
    ran = CliRunner().invoke(pnpvideo, asked)
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    off = {name: abs(row["noise_variance"] - 1) for name, row in found.items()}
    assert off["white noise"] < off["pyramid gain 2"] < off["inverted, plain"]
