"""The sets of clips: their files, and figures by hand and by plain references."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pnpvideo.cli.main import main

from pnpvideo.errors import InputError
from pnpvideo.events import Event, ignore
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.motion import estimated_motions
from pnpvideo.measure.suites.background import background_figures
from pnpvideo.measure.suites.clip_figures import motion_figures, text_figures
from pnpvideo.measure.suites.five import FIVE, measure_five, read_five
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.tgve import TGVE, measure_tgve, read_tgve
from pnpvideo.measure.suites.v2vbench import V2VBENCH, measure_v2vbench, read_v2vbench
from pnpvideo.measure.temporal import warp_error
from tests.measure.suites.conftest import picture

PROMPT = "a photo of a red ball on grass"
COLUMNS = (
    "Video name,Our GT caption,Style Change Caption,Object Change Caption,Background Change Caption,"
    "Multiple Changes Caption\n"
)
TGVE_ROWS = 'DAVIS Videos:,,,,,\ndog,a dog,"a dog, in oil",a cat,a dog on ice,a cat on ice\n,,,,,\ncar,a car,s,o,b,m\n'
V2V = """
data:
- video_id: dog
  edit:
  - prompt: a cat
  - prompt: a dog in oil
- video_id: car
  prompt: a car
  edit: [{prompt: a van}]
"""


def write_frames(folder: Path, count: int = 3, side: int = 48) -> Path:
    folder.mkdir(parents=True)
    wide = picture(len(folder.name), 2 * side)
    for index in range(count):
        Image.fromarray(wide[:side, 3 * index : 3 * index + side]).save(folder / f"{index:05d}.jpg")
    return folder


def moving(seed: int, count: int = 3, step: int = 3, side: int = 48) -> list[np.ndarray]:
    wide = picture(seed, 2 * side)
    return [np.ascontiguousarray(wide[:side, step * index : step * index + side]) for index in range(count)]


def write_tgve(folder: Path, text: str = COLUMNS + TGVE_ROWS) -> Path:
    write_frames(folder / "DAVIS_480p/480p_frames/dog")
    write_frames(folder / "videvo_480p/car")
    (folder / "list.csv").write_text(text, encoding="utf-8")
    return folder


def test_tgve_is_a_csv_with_four_edits_a_clip(tmp_path: Path) -> None:
    said: list[Event] = []
    rows = read_tgve(write_tgve(tmp_path), said.append)
    assert said == [] and len(rows) == 8
    assert [row.name for row in rows[:4]] == [
        f"DAVIS_480p/dog/{kind}" for kind in ("style", "object", "background", "multiple")
    ]
    assert rows[0].prompt == "a dog, in oil" and rows[0].source_prompt == "a dog" and rows[0].kind == "style"
    assert rows[7].name == "videvo_480p/car/multiple" and len(rows[7].frames(ignore)) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (COLUMNS + "bird,a bird,s,o,b,m\n", "row 1: bird is missing; looked for in DAVIS_480p, youtube_480p"),
        (COLUMNS + "../dog,a bird,s,o,b,m\n", "row 1: '../dog' is no path below"),
        ("Video name,Our GT caption\ndog,a dog\n", "Style Change Caption is missing"),
    ],
)
def test_a_wrong_row_of_tgve_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as failed:
        read_tgve(write_tgve(tmp_path, text), ignore)
    assert str(failed.value).startswith("list.csv, row 1: ") and said in str(failed.value)
    (tmp_path / "other.csv").write_text("")
    with pytest.raises(InputError, match="has 2 CSV files; accepted is one"):
        read_tgve(tmp_path, ignore)


def test_v2vbench_is_a_yaml_with_edits_by_index(tmp_path: Path) -> None:
    write_frames(tmp_path / "dog")
    write_frames(tmp_path / "videos/car")
    (tmp_path / "V2VBench.yaml").write_text(V2V, encoding="utf-8")
    rows = read_v2vbench(tmp_path, ignore)
    assert [(row.name, row.prompt, row.source_prompt) for row in rows] == [
        ("dog/0", "a cat", ""),
        ("dog/1", "a dog in oil", ""),
        ("car/0", "a van", "a car"),
    ]
    for text, said in {
        "data: [{video_id: cow, edit: [{prompt: a}]}]": "V2VBench.yaml, data 1: cow is missing; looked for in cow.mp4",
        "data: [{video_id: dog}]": "V2VBench.yaml, data 1: edit is missing; the row has video_id",
        "data: [{video_id: dog, edit: [a]}]": "row 1 is 'a'; accepted is a table",
        "[a]": "V2VBench.yaml is ['a']; accepted is a table",
        "data: &a []": "V2VBench.yaml is no table: line 1 has an anchor",
    }.items():
        (tmp_path / "V2VBench.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as failed:
            read_v2vbench(tmp_path, ignore)
        assert said in str(failed.value), text
    (tmp_path / "V2VBench.yaml").unlink()
    with pytest.raises(InputError, match="has 0 YAML files"):
        read_v2vbench(tmp_path, ignore)


def write_five(folder: Path, **changes: Any) -> Path:
    write_frames(folder / "images/dog", 9)
    (folder / "edit_prompt").mkdir()
    row = {"video_name": "dog", "source_prompt": "a dog", "target_prompt": "a cat", "question": "?", **changes}
    for number in (1, 2):
        (folder / f"edit_prompt/edit{number}_FiVE.json").write_text(json.dumps([row]), encoding="utf-8")
    return folder


def test_five_is_a_list_for_each_kind_of_edit(tmp_path: Path) -> None:
    first, second = read_five(write_five(tmp_path), ignore)
    assert (first.name, second.name) == ("edit1/000_dog", "edit2/000_dog")
    assert first.prompt == "a cat" and first.kind == "edit1" and first.masks is None
    with pytest.raises(InputError, match=r"has no edit_prompt/edit\*_FiVE.json"):
        read_five(tmp_path / "images", ignore)


def test_a_wrong_row_of_five_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^edit1_FiVE.json, row 1: cow is missing; looked for in images/cow, videos"):
        read_five(write_five(tmp_path, video_name="cow"), ignore)


def test_five_takes_the_mask_of_every_eighth_frame(tmp_path: Path) -> None:
    write_five(tmp_path)
    masks = tmp_path / "bmasks/dog"
    masks.mkdir(parents=True)
    drawn = [np.zeros((48, 48), np.uint8) for _ in range(9)]
    for index, mask in enumerate(drawn):
        mask[:, : 8 + index] = 255
        Image.fromarray(mask).save(masks / f"{index:05d}.png")
    row, _ = read_five(tmp_path, ignore)
    source, result = moving(1, 9), moving(2, 9)
    judge = Judge()
    for mode in Mode:
        found = measure_five(Judges(clip=judge), row, source, result, mode)
        each = [background_figures(source[n], result[n], drawn[n] > 0, mode, None) for n in (0, 8)]
        for name in ("psnr", "mse", "ssim"):
            assert found[name] == pytest.approx(np.mean([figures[name] for figures in each]), abs=1e-4)
        assert {"match", "edited", "motion", "warp"} <= set(found) <= set(FIVE.columns)
    (masks / "00008.png").unlink()
    with pytest.raises(InputError, match=r"edit1_FiVE\.json, row 1: 8 masks and 9 frames"):
        measure_five(Judges(), row, source, result, Mode.STRICT)


def test_text_figures_are_plain_means_of_cosines() -> None:
    judge, frames = Judge(), [picture(seed, 48) for seed in range(3)]
    vectors = judge.embed_pictures(frames).double().numpy()
    text = judge.embed_texts([PROMPT]).double().numpy()[0]
    cosines = vectors @ vectors.T
    pairs = [cosines[a, b] for a in range(3) for b in range(3) if a != b]
    found = text_figures(judge, frames, PROMPT, Mode.STRICT, pairs=True)
    assert found["match"] == pytest.approx(100 * (vectors @ text).mean(), abs=1e-4)
    assert found["consistency"] == pytest.approx(np.mean(pairs), abs=1e-4)
    neighbours = [cosines[0, 1], cosines[1, 2]]
    strict = text_figures(judge, frames, PROMPT, Mode.STRICT, pairs=False)["consistency"]
    compat = text_figures(judge, frames, PROMPT, Mode.COMPAT, pairs=False)["consistency"]
    assert strict == pytest.approx(np.mean(neighbours), abs=1e-4)
    assert compat == pytest.approx(np.mean(np.maximum(neighbours, 0)), abs=1e-4)
    assert np.isnan(text_figures(judge, frames[:1], PROMPT, Mode.COMPAT, pairs=False)["consistency"])


def test_motion_figures_compare_with_the_flow_of_the_source() -> None:
    source, slower = moving(5), moving(5, step=1)
    same, slow = motion_figures(source, source), motion_figures(source, slower)
    assert same["motion"] == 0 and slow["motion"] == pytest.approx(-2, abs=0.5)
    assert same["warp"] == warp_error(source, estimated_motions(source)) < slow["warp"]
    assert np.isnan(motion_figures(source[:1], source[:1])["warp"])


def test_each_set_of_clips_measures_its_columns(tmp_path: Path) -> None:
    row = read_tgve(write_tgve(tmp_path), ignore)[0]
    judges, source, result = Judges(clip=Judge()), moving(1), moving(2)
    for mode in Mode:
        assert set(measure_tgve(judges, row, source, result, mode)) == set(TGVE.columns)
        assert set(measure_v2vbench(judges, row, source, result, mode)) == set(V2VBENCH.columns)
        assert set(measure_tgve(Judges(), row, source, result, mode)) == {"warp", "motion"}
        assert set(measure_v2vbench(Judges(), row, source, result, mode)) == {"warp", "motion"}


def test_results_of_clips_are_folders_as_submissions_have_them(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = write_tgve(tmp_path / "data"), tmp_path / "out"
    (tmp_path / "recipes.toml").write_text('[plain]\nmethod = "pnp"\nsize = 32\nkeyframe_every = 2\n', encoding="utf-8")
    words = ["bench", "tgve", "--data", str(data), "--model", str(checkpoint), "--steps", "1", "--device", "cpu"]
    words += ["--clip", "miniature", "--dino", "miniature", "--recipes", str(tmp_path / "recipes.toml")]
    assert main([*words, "-o", str(output), "--edits", "1", "-q"]) == 0
    files = {path.name for path in (output / "results/plain/DAVIS_480p/dog/style").iterdir()}
    assert files == {"00000.png", "00001.png", "00002.png"}
    assert "Not run: PickScore: its model has no judge here." in capsys.readouterr().out
    assert (output / "pareto-strict.png").exists()
