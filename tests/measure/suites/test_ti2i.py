"""Wild-TI2I and ImageNet-R-TI2I: both layouts, and their figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import InputError
from pnpvideo.events import Event, Notice, ignore
from pnpvideo.measure.judge import Judge, Tower
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.structure import TensorInput, structure_between
from pnpvideo.measure.suites.ti2i import TI2I, measure_ti2i, read_ti2i
from tests.measure.suites.conftest import picture, write_wild


def test_the_older_layout_is_a_list_of_pictures_with_prompts(tmp_path: Path) -> None:
    said: list[Event] = []
    rows = read_ti2i(write_wild(tmp_path), said.append)
    assert [row.name for row in rows] == [
        "wild-ti2i-real/data/horse/1",
        "wild-ti2i-real/data/horse/2",
        "wild-ti2i-real/data/cat/1",
    ]
    assert [row.prompt for row in rows] == ["a photo of a bronze horse", "a drawing of a horse", "no"]
    assert [row.source_prompt for row in rows] == ["", "", "a cat"]
    assert rows[0].source == tmp_path / "wild-ti2i/data/horse.png" and rows[0].kind == "wild-ti2i-real"
    assert Notice(message="wild-ti2i-real.yaml: 1 rows without a picture are left out") in said
    assert Notice(message="wild-ti2i-real.yaml, row 3: seed is not read") in said


def test_the_newer_layout_is_a_list_in_json(tmp_path: Path) -> None:
    row = {"image_path": "cat.png", "original_prompt": "a cat", "editing_prompt": "a dog"}
    Image.fromarray(picture(1, 64)).save(tmp_path / "cat.png")
    (tmp_path / "edits.json").write_text(json.dumps([row, {**row, "editing_prompt": "a fox"}]))
    rows = read_ti2i(tmp_path, ignore)
    assert [(row.name, row.prompt) for row in rows] == [("edits/cat/1", "a dog"), ("edits/cat/1-2", "a fox")]
    assert rows[0].source_prompt == "a cat" and rows[0].source == tmp_path / "cat.png"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- init_img: ../../x.png\n  target_prompts: [a]", "row 1: '../../x.png' is no path below"),
        ("- init_img: data/dog.png\n  target_prompts: [a]", "row 1: data/dog.png is missing"),
        ("- init_img: data/cat.png", "row 1: target_prompts is missing; the row has init_img"),
        ("- init_img: data/cat.png\n  target_prompts: []", "row 1: target_prompts is []; accepted is a list of texts"),
        ("- init_img: data/cat.png\n  target_prompts: a cat", "target_prompts is 'a cat'; accepted is a list"),
        ("- init_img: [a]\n  target_prompts: [a]", "row 1: init_img is ['a']; accepted is a text"),
        ("- a cat", "row 1 is 'a cat'; accepted is a table"),
        ("a: &x [1]\nb: *x", "has an anchor or an alias"),
        ("!!python/object:os.system {}", "has a tag"),
        ("- init_img: a\n  init_img: b", "'init_img' stands twice"),
        ("a: [", "it is no YAML"),
    ],
)
def test_a_wrong_row_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    write_wild(tmp_path, text)
    with pytest.raises(InputError) as failed:
        read_ti2i(tmp_path, ignore)
    assert str(failed.value).startswith("wild-ti2i-real.yaml") and said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_folder_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no list in YAML or JSON"):
        read_ti2i(tmp_path, ignore)
    (tmp_path / "huge.yaml").write_text(" " * ((1 << 20) + 1))
    with pytest.raises(InputError, match="larger than 1,048,576 bytes"):
        read_ti2i(tmp_path, ignore)
    (tmp_path / "huge.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_ti2i(tmp_path, ignore)


@pytest.mark.parametrize("mode", [*Mode])
def test_figures_are_structure_and_the_cosine(tmp_path: Path, vit: Path, mode: Mode) -> None:
    row = read_ti2i(write_wild(tmp_path), ignore)[0]
    judge, tower = Judge(), Tower.load(str(vit))
    source, result = picture(1, 96), picture(2, 96)
    found = measure_ti2i(Judges(clip=judge, tower=tower), row, [source], [result], mode)
    cosine = 100 * float(judge.cosines([result], [row.prompt])[0, 0])
    assert found["match"] == pytest.approx(max(cosine, 0) if mode is Mode.COMPAT else cosine, abs=1e-4)
    assert found["structure"] == structure_between(tower, source, result, mode, TensorInput())["structure"]
    assert set(found) == set(TI2I.columns)
    assert measure_ti2i(Judges(), row, [source], [result], mode) == {}
    assert not np.isnan(found["structure"])
