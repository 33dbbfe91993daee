"""Reports of the measures: tables, JSON, plots, contact sheets and the commands."""

import gc
import json
import weakref
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from pnpvideo.cli.main import pnpvideo

from pnpvideo.errors import DeviceError, InputError, OptionError
from pnpvideo.measure import world
from pnpvideo.measure.clip import measure_clip
from pnpvideo.measure.figures import replace_nonfinite, table
from pnpvideo.measure.footage import BASELINES
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.judge_measures import structure_distance
from pnpvideo.measure.model import read_caption, style_of
from pnpvideo.measure.motion import estimated_motions
from pnpvideo.measure.pareto import marker_and_colour, pareto_front, plot_pareto
from pnpvideo.measure.sheet import SheetRow, contact_sheet, draw_sheet
from pnpvideo.measure.temporal import MotionComparison, warp_error
from pnpvideo.measure.world import WorldOptions
from pnpvideo.miniature.recipe.data import HELD_OUT, TUNING
from pnpvideo.miniature.world import caption, random_scene
from pnpvideo.miniature.world.questions import answers
from pnpvideo.pipeline import translate
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer

ROWS = {
    "source": {"match": -3.0, "edges": 0.9, "masks": 0.9, "warp": 3e-3},
    "ours": {"match": 2.0, "edges": 0.8, "masks": 0.9, "warp": 1e-3},
    "theirs": {"match": 1.0, "edges": 0.7, "masks": 0.9, "warp": 2e-3},
    "other": {"match": 3.0, "edges": 0.2, "masks": 0.5, "warp": float("nan")},
}


def test_a_table_prints_every_figure_in_its_unit() -> None:
    lines = table(ROWS).splitlines()
    assert lines[0] == "| recipe | match | edge F1 | mask IoU | warp x 1000 |"
    assert lines[3] == "| ours | 2.0 | 0.800 | 0.900 | 1.00 |"
    assert lines[5].endswith("| - |")


def test_the_pareto_front_holds_recipes_that_no_other_dominates() -> None:
    assert pareto_front(ROWS, ("match", "edges")) == ["source", "ours", "other"]
    assert pareto_front({name: ROWS[name] for name in ("ours", "theirs")}, ("match", "edges", "warp")) == ["ours"]


def test_the_plot_is_written_as_a_picture(tmp_path: Path) -> None:
    plot_pareto({"cartoon to photo": ROWS}, tmp_path / "pareto.png")
    with Image.open(tmp_path / "pareto.png") as drawn:
        assert drawn.size[0] > 800


def test_many_recipes_look_different() -> None:
    assert len({marker_and_colour(number) for number in range(90)}) == 90


def test_missing_matplotlib_is_reported_before_measuring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pnpvideo.measure.pareto.find_spec", lambda name: None)
    ran = CliRunner().invoke(pnpvideo, ["measure", "world", "-o", str(tmp_path / "out")])
    assert isinstance(ran.exception, OptionError) and "pip install -c constraints.txt -e '.[plots]'" in str(
        ran.exception
    )
    assert not (tmp_path / "out").exists()


def test_contact_sheet_shows_first_and_last_frame_of_each_clip() -> None:
    ramp = np.zeros((11, 8, 10, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(11)[:, None, None] * 20, 1
    rows = {"up": ramp, "down": ramp[::-1]}
    assert blocks(contact_sheet(rows, columns=3)) == [[0, 100, 200], [200, 100, 0]]
    assert blocks(contact_sheet(rows, columns=3, width=5), (4, 5)) == [[0, 100, 200], [200, 100, 0]]
    assert blocks(contact_sheet({"up": ramp[:1]}, columns=3)) == [[0]]


def blocks(sheet: Image.Image, size: tuple[int, int] = (8, 10)) -> list[list[int]]:
    """The red of the pictures on a sheet, which have a green of 1 and a blue of 0, row by row."""
    pixels = np.asarray(sheet)
    found = (pixels[..., 1] == 1) & (pixels[..., 2] == 0)
    lines = [line for line in range(1, len(found)) if found[line].any() and not found[line - 1].any()]
    starts = [
        [column for column in range(1, len(found[line])) if found[line][column] and not found[line][column - 1]]
        for line in lines
    ]
    assert all(
        found[line : line + size[0], start : start + size[1]].all()
        for line, row in zip(lines, starts, strict=True)
        for start in row
    )
    return [[int(pixels[line, start, 0]) for start in row] for line, row in zip(lines, starts, strict=True)]


def test_a_sheet_has_room_for_long_words_and_empty_places() -> None:
    picture = np.zeros((8, 10, 3), np.uint8)
    picture[..., 1] = 1
    plain = draw_sheet([SheetRow([picture, None, picture])])
    assert blocks(plain) == [[0, 0]]
    headings = ["a heading wider than its picture"] * 3
    rows = [SheetRow([picture, None, picture], "x" * 99, ["note " * 40], headings, ["#1"]), SheetRow([picture])]
    full = draw_sheet(rows, "a prompt of many words " * 9, "clip\x1b[31m.mp4")
    assert blocks(full) == [[0, 0], [0]]
    assert full.height > plain.height + 100
    edges = np.asarray(full)
    assert all((edge == 255).all() for edge in (edges[:4], edges[-4:], edges[:, :4]))


def test_an_unknown_style_or_split_is_refused() -> None:
    with pytest.raises(OptionError, match="no style 'oil'; accepted: cartoon"):
        WorldOptions(tasks=(("cartoon", "oil"),))
    with pytest.raises(OptionError, match="split is 'all'; accepted: held-out, tuning"):
        WorldOptions(split="all")


def test_the_splits_share_no_scene_with_each_other_or_with_training() -> None:
    held, tuning = (WorldOptions(split=split).footage(("cartoon", "photo"), 3) for split in ("held-out", "tuning"))
    assert 10_000_000 <= held.scene.seed < TUNING <= tuning.scene.seed
    with pytest.raises(OptionError, match="clips is 10000000"):
        WorldOptions(clips=10_000_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a photo of a red metal ball on grass at sunset", ("photo", "ball", "red", "grass", "sunset")),
        ("a night photo of a blue car in the snow", ("night", "car", "blue", "snow", None)),
        (
            "a watercolour of an orange box on a stone floor under a grey sky",
            ("watercolor", "cube", "orange", "stone", "overcast"),
        ),
        ("a photo at night of a red ball on grass", ("night", "ball", "red", "grass", None)),
        ("a red ball on grass, cartoon style", ("cartoon", "ball", "red", "grass", None)),
        ("", (None,) * 5),
    ],
)
def test_a_caption_is_read_back(text: str, expected: tuple[str | None, ...]) -> None:
    assert tuple(read_caption(text).values()) == expected


def test_every_wording_of_a_scene_is_read_back() -> None:
    for seed in range(200):
        scene, style = random_scene(HELD_OUT + seed, things=1), style_of(seed)
        read = read_caption(caption(scene, style, Random(seed)))
        true = answers(scene, style)
        for attribute, value in read.items():
            assert value is None or value in true[attribute], (caption(scene, style, Random(seed)), attribute)
        assert read["shape"] and read["colour"]


def test_nan_and_infinity_become_null_in_json() -> None:
    given = {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": -float("inf")}, "e": "text", "f": 3}
    assert replace_nonfinite(given) == {"a": None, "b": [None, 1.5], "c": {"d": None}, "e": "text", "f": 3}


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


def test_other_motion_and_torn_clips_score_worse(tmp_path: Path) -> None:
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


def test_a_number_of_frames_that_only_the_end_shows_is_refused_too(tmp_path: Path) -> None:
    for name, count in (("a.mkv", 3), ("b.mkv", 5)):
        info = ClipInfo(path=None, kind="video", width=96, height=96, fps=Fraction(10))
        with Writer(tmp_path / name, info) as writer:
            for index, frame in enumerate(moving(count, 1)):
                writer.append(frame, Fraction(index, 10), Fraction(1, 10))
    assert read(tmp_path / "a.mkv").info.frames is None
    with pytest.raises(InputError, match=r"a\.mkv has 3 frames and .*b\.mkv has 5;"):
        measure_clip(tmp_path / "a.mkv", tmp_path / "b.mkv", "a ball")


def test_clips_in_parts_have_the_figures_of_whole_lists(tmp_path: Path) -> None:
    """35 frames are more than are embedded at once; a source of twice the size is scaled."""
    source, result, count = moving(35, 2), moving(35, 1, seed=1), 35
    large = [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in source]
    found = measure_clip(folder_of(tmp_path / "a", large), folder_of(tmp_path / "b", result), "a ball")
    judge, motions, own = Judge(), estimated_motions(source), estimated_motions(result)
    vectors = judge.embed_pictures(result)
    cosines = (vectors @ vectors.T).double()
    assert found.frames == count
    assert found.text == pytest.approx(100 * float(judge.cosines(result, ["a ball"]).mean()), abs=1e-4)
    assert found.text_of_source == pytest.approx(100 * float(judge.cosines(source, ["a ball"]).mean()), abs=1e-4)
    assert found.consistency == pytest.approx(float(cosines.diagonal(1).clamp(min=0).mean()), abs=1e-5)
    every = (float(cosines.sum()) - float(cosines.trace())) / (count * (count - 1))
    assert found.consistency_all == pytest.approx(every, abs=1e-5)
    assert found.structure == pytest.approx(structure_distance(judge.tower, result, source))
    assert found.warp == pytest.approx(warp_error(result, motions))
    assert found.warp_of_source == pytest.approx(warp_error(source, motions))
    apart = [np.hypot(*(one.flow - other.flow)).mean() for one, other in zip(own, motions, strict=True)]
    assert found.motion == pytest.approx(-np.mean(apart))


def test_motion_is_compared_with_two_frames_in_memory() -> None:
    comparison, alive = MotionComparison(), list[weakref.ref[np.ndarray]]()
    assert np.isnan(comparison.warp) and np.isnan(comparison.motion)
    for theirs, ours in zip(moving(6, 2), moving(6, 1), strict=True):
        one, other = theirs.copy(), ours.copy()
        alive += [weakref.ref(one), weakref.ref(other)]
        comparison.add(one, other)
    del one, other
    gc.collect()
    assert [found() is not None for found in alive] == [False] * 10 + [True] * 2


def test_clips_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "a", moving(2, 1))
    tiny = folder_of(tmp_path / "b", [frame[:8, :8] for frame in moving(2, 1)])
    narrow = folder_of(tmp_path / "c", [frame[:, :40] for frame in moving(2, 1)])
    with pytest.raises(InputError, match="at least 16 pixels a side"):
        measure_clip(tiny, tiny, "a ball")
    with pytest.raises(InputError, match="must have one aspect"):
        measure_clip(source, narrow, "a ball")
    with pytest.raises(OptionError, match="one CLIP model for words and at most one ViT"):
        measure_clip(source, source, "a ball", judges=["miniature", "miniature"])
    with pytest.raises(DeviceError, match="device"):
        measure_clip(source, source, "a ball", device="abacus")


def test_hidden_colours_of_transparent_pixels_do_not_count(tmp_path: Path) -> None:
    shown = moving(1, 1)[0]
    alpha = np.zeros((96, 96, 1), np.uint8)
    alpha[:, :48] = 255
    paths = []
    for name, hidden in (("a", 0), ("b", 200)):
        picture = np.where(alpha > 0, shown, hidden).astype(np.uint8)
        Image.fromarray(np.dstack([picture, alpha])).save(tmp_path / f"{name}.png")
        paths.append(tmp_path / f"{name}.png")
    assert measure_clip(paths[0], paths[1], "a ball").structure == 0


def test_the_sides_of_a_wide_frame_count_for_structure(tmp_path: Path) -> None:
    wide = np.dstack([np.tile(np.linspace(0, 255, 192, dtype=np.uint8), (96, 1))] * 3)
    painted = wide.copy()
    painted[:, :40], painted[:, -40:] = (255, 0, 0), (0, 0, 255)
    for name, picture in (("a", wide), ("b", painted)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    assert measure_clip(tmp_path / "a.png", tmp_path / "b.png", "a ball").structure > 5


def test_the_command_measures_a_still(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    Image.fromarray(moving(1, 1)[0]).save(path)
    ran = CliRunner().invoke(pnpvideo, ["measure", "clip", str(path), str(path), "--prompt", "a red ball", "--json"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["frames"] == 1 and found["warp"] is None and found["structure"] == 0


BRIEF = "measure world --clips 2 --length 2 --pixels 64 --steps 2 --task cartoon:photo --split tuning --progress none"


def strict(text: str) -> dict:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_recipes_come_from_a_file_and_a_rerun_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    recipes = tmp_path / "recipes.toml"
    recipes.write_text('["weak"]\nmethod = "sdedit"\nstrength = 0.5\n["pnp"]\ncoherence = "none"\n')
    asked = [*BRIEF.split(), "--recipes", str(recipes), "--recipe", "weak", "-o", str(out)]
    ran = CliRunner().invoke(pnpvideo, asked)
    assert ran.exit_code == 0, ran.output
    assert "| weak |" in ran.stdout and "| truth |" in ran.stdout and "| pnp |" not in ran.stdout
    found = strict((out / "figures.json").read_text())
    assert found["protocol"]["benchmark"]["split"] == "tuning" and found["protocol"]["translation"]["steps"] == 2
    assert {*BASELINES, "weak"} == set(found["figures"]["cartoon to photo"])
    assert found["figures"]["cartoon to photo"]["truth"]["psnr"] is None
    assert (out / "pareto.png").exists() and (out / "cartoon-to-photo.png").exists()

    # run again, it takes what it has measured from the journal, and only the first clip is made again
    made, plain = [], translate

    def counted(*given: Any) -> None:
        made.append(given)
        plain(*given)

    monkeypatch.setattr(world, "translate", counted)
    again = CliRunner().invoke(pnpvideo, [*asked, "--json"])
    assert strict(again.stdout)["figures"] == found["figures"]
    assert len(made) == 1


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        ('["truth"]\nsteps = 2', "a recipe is called 'truth', as a baseline is"),
        ('["mine"]\nsource_prompt = "a"', "mine: source_prompt is set, which the benchmark itself sets"),
        ("", "there is no recipe to measure"),
        ("steps = 2", "steps stands alone; accepted are tables of options"),
        ('["mine"]\nstep = 2', "unknown option 'step'"),
    ],
)
def test_an_invalid_recipe_is_refused(recipes: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipes.toml"
    path.write_text(recipes)
    ran = CliRunner().invoke(pnpvideo, [*BRIEF.split(), "--recipes", str(path)])
    assert isinstance(ran.exception, OptionError) and message in str(ran.exception)


def test_a_size_that_the_model_does_not_accept_is_refused() -> None:
    ran = CliRunner().invoke(pnpvideo, [*BRIEF.replace("64", "100").split()])
    assert isinstance(ran.exception, OptionError) and "multiples of 8" in str(ran.exception)


def test_an_unknown_recipe_is_refused() -> None:
    ran = CliRunner().invoke(pnpvideo, ["measure", "world", "--recipe", "magic"])
    assert ran.exit_code == 2 and "nothing is called 'magic'; there are: pnp, each frame" in ran.output
