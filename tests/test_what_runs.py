"""The table "what runs on what" of the checkpoints' page: each cell is tried on tiny checkpoints."""

from pathlib import Path

import numpy as np
import pytest

import pnpvideo
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.errors import PnPVideoError
from pnpvideo.methods.registry import METHODS
from tests.backends.originals import FAMILIES, write_folder
from tests.joint import write_joint

PAGE = Path(__file__).parent.parent / "docs" / "checkpoints.md"
FRAMES = 3
ALL = (*FAMILIES, "3")


def runs(translator: pnpvideo.Translator, method: str, coherence: str) -> bool:
    """Does this translate three frames to pictures that are not the input?"""
    frames = np.full((FRAMES, 64, 64, 3), 150, np.uint8)
    for number, frame in enumerate(frames):
        frame[10:30, 20 + 4 * number : 40 + 4 * number] = (220, 60, 50)
    try:
        result = translator.translate_frames(
            frames,
            "a square fox",
            method=METHODS[method](),
            coherence=COHERENCES[coherence](),
            prompts=pnpvideo.Prompts(source_prompt="a red square", change=("square", "fox")),
            sampling=pnpvideo.Sampling(steps=2, size=64),
        )
    except PnPVideoError:
        return False
    return result.shape == frames.shape and not np.array_equal(result, frames)


def table(ran: dict[tuple[str, str, str], bool]) -> list[str]:
    """Lines of Markdown: a row for each method, a column for each coherence, in each cell the families that run.

    ran: by method, coherence and family.
    """
    rows = [["`--method`", *(f"`--coherence {name}`" for name in COHERENCES)], ["---"] * (1 + len(COHERENCES))]
    for method in METHODS:
        cells = [[family for family in ALL if ran[method, name, family]] for name in COHERENCES]
        rows.append([f"`{method}`", *(", ".join(cell) or "-" for cell in cells)])
    return [f"| {' | '.join(row)} |".replace(" --- ", "---") for row in rows]


def test_the_table_lists_what_ran() -> None:
    everything = {(method, name, family): True for method in METHODS for name in COHERENCES for family in ALL}
    first, *_ = METHODS
    found = table({**everything, (first, "none", "XL"): False})
    assert found[0] == "| `--method` | `--coherence flow` | `--coherence joint` | `--coherence none` |"
    assert found[1] == "|---|---|---|---|" and len(found) == 2 + len(METHODS)
    assert found[2] == f"| `{first}` | 1.x, 2.x, XL, 3 | 1.x, 2.x, XL, 3 | 1.x, 2.x, 3 |"


@pytest.mark.slow
def test_what_the_page_says_runs_is_what_runs(tmp_path: Path) -> None:
    ran: dict[tuple[str, str, str], bool] = {}
    for family in ALL:
        prediction = "v_prediction" if family == "2.x" else "epsilon"
        place = tmp_path / family.replace(".", "")
        folder = write_joint(place) if family == "3" else write_folder(place, family, prediction)
        translator = pnpvideo.load(folder, device="cpu")
        for method in METHODS:
            for coherence in COHERENCES:
                ran[method, coherence, family] = runs(translator, method, coherence)
    found = table(ran)
    page = PAGE.read_text(encoding="utf-8").splitlines()
    assert found == [
        line for line in page if line in found or line.startswith(("| `--method`", "|---|---|---|---|"))
    ], "docs/checkpoints.md should have this table:\n" + "\n".join(found)
