"""FlowEdit's data: the published files, and the figures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.errors import InputError
from pnpvideo.events import ignore
from pnpvideo.measure.judge import Judge, Tower
from pnpvideo.measure.suites.flowedit import FLOWEDIT, measure_flowedit, read_flowedit
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.lpips import Lpips
from pnpvideo.measure.suites.mode import Mode
from tests.measure.suites.conftest import picture

TEXT = """
-
    init_img:  flowedit_data/bear.png

    source_prompt: A bear walks.
        It is brown.

    target_prompts:
     - A black bear
      walks.
     - A fox walks.

    target_codes:
     - 1_black
     - 2_fox
"""


def write_data(folder: Path, text: str = TEXT, place: str = "Images/bear.png") -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(0, 64)).save(path)
    (folder / "flowedit.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("place", ["Images/bear.png", "flowedit_data/bear.png"])
def test_pictures_are_found_where_they_are_published_and_where_the_list_says(tmp_path: Path, place: str) -> None:
    first, second = read_flowedit(write_data(tmp_path, place=place), ignore)
    assert (first.name, second.name) == ("bear/1_black", "bear/2_fox")
    assert first.prompt == "A black bear walks." and first.source_prompt == "A bear walks. It is brown."
    assert first.source == tmp_path / place


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("     - 2_fox\n", "", "2 target_prompts and 1 target_codes; one code names each prompt"),
        ("2_fox", "../fox", "'../fox' is no path below"),
        ("flowedit_data/bear.png", "flowedit_data/cow.png", "cow.png is missing; looked for in"),
        ("source_prompt", "prompt", "source_prompt is missing; the row has init_img"),
    ],
)
def test_a_wrong_row_is_one_line_that_names_it(tmp_path: Path, before: str, after: str, said: str) -> None:
    with pytest.raises(InputError) as failed:
        read_flowedit(write_data(tmp_path, TEXT.replace(before, after, 1)), ignore)
    assert str(failed.value).startswith("flowedit.yaml, row 1: ") and said in str(failed.value)


@pytest.mark.parametrize("mode", [*Mode])
def test_figures_are_of_the_whole_picture(tmp_path: Path, vit: Path, lpips_file: Path, mode: Mode) -> None:
    row, _ = read_flowedit(write_data(tmp_path), ignore)
    judge, lpips, tower = Judge(), Lpips(lpips_file), Tower.load(str(vit))
    source, result = picture(1, 64), picture(2, 64)
    found = measure_flowedit(Judges(clip=judge, tower=tower, lpips=lpips), row, [source], [result], mode)
    a, b = (torch.tensor(each).permute(2, 0, 1) / 127.5 - 1 for each in (result, source))
    assert found["lpips"] == pytest.approx(lpips.distance(a, b), abs=1e-4)
    cosine = 100 * float(judge.cosines([result], [row.prompt])[0, 0])
    assert found["match"] == pytest.approx(max(cosine, 0) if mode is Mode.COMPAT else cosine, abs=1e-4)
    assert set(found) == set(FLOWEDIT.columns) and not np.isnan(found["structure"])
    assert measure_flowedit(Judges(), row, [source], [result], mode) == {}
