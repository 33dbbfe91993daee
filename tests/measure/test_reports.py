"""What the measures are handed on as: tables, JSON, plots, and the command that prints them."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from pnpvideo.cli.main import pnpvideo

from pnpvideo.errors import InputError, OptionError
from pnpvideo.measure.clip import measure_clip
from pnpvideo.measure.figures import table
from pnpvideo.measure.model import read_caption
from pnpvideo.measure.pareto import front, plot
from pnpvideo.measure.sheet import GAP, HEADER, MARGIN, contact_sheet
from pnpvideo.measure.world import WorldOptions

ROWS = {
    "source": {"gain": -3.0, "edges": 0.9, "masks": 0.9, "warp": 3e-3},
    "ours": {"gain": 2.0, "edges": 0.8, "masks": 0.9, "warp": 1e-3},
    "theirs": {"gain": 1.0, "edges": 0.7, "masks": 0.9, "warp": 2e-3},
    "other": {"gain": 3.0, "edges": 0.2, "masks": 0.5, "warp": float("nan")},
}


def test_a_table_prints_every_figure_in_its_unit() -> None:
    lines = table(ROWS).splitlines()
    assert lines[0] == "| recipe | cosine gain | edge F1 | mask IoU | warp x 1000 |"
    assert lines[3] == "| ours | 2.0 | 0.800 | 0.900 | 1.00 |"
    assert lines[5].endswith("| - |")


def test_the_front_is_what_nothing_beats() -> None:
    assert front(ROWS, ("gain", "edges")) == ["source", "ours", "other"]
    assert front({name: ROWS[name] for name in ("ours", "theirs")}, ("gain", "edges", "warp")) == ["ours"]


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    plot({"cartoon to photo": ROWS}, tmp_path / "pareto.png")
    with Image.open(tmp_path / "pareto.png") as drawn:
        assert drawn.size[0] > 800


def test_a_missing_plotter_is_said_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pnpvideo.measure.pareto.find_spec", lambda name: None)
    ran = CliRunner().invoke(pnpvideo, ["measure", "world", "-o", str(tmp_path / "out")])
    assert isinstance(ran.exception, OptionError) and "pip install 'pnpvideo[plots]'" in str(ran.exception)
    assert not (tmp_path / "out").exists()


def test_contact_sheet_shows_first_and_last_frame_of_each_clip() -> None:
    ramp = np.broadcast_to(np.arange(11, dtype=np.uint8)[:, None, None, None] * 20, (11, 8, 10, 3))
    rows = {"up": ramp, "down": ramp[::-1]}
    sheet = np.asarray(contact_sheet(rows, columns=3))
    corners = [
        sheet[HEADER + row * (8 + GAP) + 4, MARGIN + column * (10 + GAP) + 5, 0]
        for row in (0, 1)
        for column in (0, 1, 2)
    ]
    assert corners == [0, 100, 200, 200, 100, 0]
    assert contact_sheet(rows, columns=3, width=5).size == (MARGIN + 3 * 9, HEADER + 2 * 8)


def test_an_unknown_style_or_split_is_refused() -> None:
    with pytest.raises(OptionError, match="no style 'oil'; accepted: cartoon"):
        WorldOptions(tasks=(("cartoon", "oil"),))
    with pytest.raises(OptionError, match="split is 'all'; accepted: held-out, tuning"):
        WorldOptions(split="all")


def test_the_splits_share_no_scene_with_each_other_or_with_training() -> None:
    held, tuning = (WorldOptions(split=split).footage(("cartoon", "photo"), 3) for split in ("held-out", "tuning"))
    assert held.scene.seed >= 10_000_000 and tuning.scene.seed >= 20_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a photo of a red metal ball on grass at sunset", ("photo", "ball", "red", "grass", "sunset")),
        ("a night photo of a blue car in the snow", ("night", "car", "blue", "snow", None)),
        (
            "a watercolour of an orange box on a stone floor under a grey sky",
            ("watercolor", "cube", "orange", "stone", "overcast"),
        ),
        ("", (None,) * 5),
    ],
)
def test_a_caption_is_read_back(text: str, expected: tuple[str | None, ...]) -> None:
    assert tuple(read_caption(text).values()) == expected


def folder_of(path: Path, frames: list[np.ndarray]) -> Path:
    path.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{index:03d}.png")
    return path


def moving(count: int, step: int, seed: int = 0) -> list[np.ndarray]:
    noise = np.random.default_rng(seed).integers(0, 255, (12, 24, 3)).astype(np.uint8)
    wide = np.asarray(Image.fromarray(noise).resize((192, 96), Image.Resampling.BICUBIC))
    return [np.ascontiguousarray(wide[:, step * t : step * t + 96]) for t in range(count)]


def test_a_clip_measured_against_itself_is_perfect(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "a", moving(4, 3))
    found = measure_clip(source, source, "a photo of a red ball", source_prompt="a cartoon of a red ball")
    assert found.frames == 4
    assert found.structure == 0 and found.motion == 0
    assert found.warp == found.warp_of_source and found.warp is not None and found.warp < 1e-3
    assert found.text == pytest.approx(found.text_of_source)
    assert found.consistency is not None and 0.8 < found.consistency <= 1


def test_another_motion_and_another_order_are_seen(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "a", moving(4, 3))
    slower = folder_of(tmp_path / "b", moving(4, 1))
    other = folder_of(tmp_path / "c", [moving(1, 1, seed)[0] for seed in range(4)])
    slow, torn = (measure_clip(source, result, "a ball") for result in (slower, other))
    assert slow.motion is not None and -3 < slow.motion < -1.5
    assert torn.warp is not None and slow.warp is not None and torn.warp > 5 * slow.warp
    assert torn.consistency is not None and slow.consistency is not None and torn.consistency < slow.consistency


def test_frames_that_do_not_match_are_refused(tmp_path: Path) -> None:
    source, result = folder_of(tmp_path / "a", moving(3, 1)), folder_of(tmp_path / "b", moving(2, 1))
    with pytest.raises(InputError, match=r"has 3 frames and .* has 2"):
        measure_clip(source, result, "a ball")


def test_the_command_measures_a_still(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    Image.fromarray(moving(1, 1)[0]).save(path)
    ran = CliRunner().invoke(pnpvideo, ["measure", "clip", str(path), str(path), "--prompt", "a red ball", "--json"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["frames"] == 1 and found["warp"] is None and found["structure"] == 0


def test_the_world_is_measured_by_recipes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "recipes.toml").write_text('["weak"]\nmethod = "sdedit"\nstrength = 0.5\n["pnp"]\ncoherence = "none"\n')
    asked = (
        "measure world --clips 1 --length 2 --pixels 64 --steps 2 --task cartoon:photo --split tuning --progress none"
    )
    ran = CliRunner().invoke(
        pnpvideo,
        [*asked.split(), "--recipes", str(tmp_path / "recipes.toml"), "--recipe", "weak", "-o", str(tmp_path / "out")],
    )
    assert ran.exit_code == 0, ran.output
    assert "| weak |" in ran.stdout and "| truth |" in ran.stdout and "| pnp |" not in ran.stdout
    found = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert found["protocol"]["benchmark"]["split"] == "tuning" and found["protocol"]["translation"]["steps"] == 2
    assert set(found["figures"]["cartoon to photo"]) >= {"truth", "source", "one colour", "weak"}
    assert (tmp_path / "out" / "pareto.png").exists() and (tmp_path / "out" / "cartoon-to-photo.png").exists()


def test_a_recipe_that_is_not_there_is_named() -> None:
    ran = CliRunner().invoke(pnpvideo, ["measure", "world", "--recipe", "magic"])
    assert ran.exit_code == 2 and "no recipe is called 'magic'; there are: pnp, each frame" in ran.output
