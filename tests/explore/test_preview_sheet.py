"""The sheet of a preview has a row for each cell, or for single pictures a grid over the dials."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from PIL import Image

from pnpvideo.explore.cells import Cell
from pnpvideo.explore.frames import ChosenFrames
from pnpvideo.explore.grid import Dial, span_cells
from pnpvideo.explore.preview_sheet import preview_sheet
from pnpvideo.explore.trial import Outcome
from pnpvideo.settings.options import Options
from pnpvideo.video.clip import Frame, Shot

DIALS = [Dial.parse("guidance=2,4,7.5"), Dial.parse("attention-until=.3,.5")]


def picture(value: int) -> np.ndarray:
    return np.full((130, 150, 3), (value, 1, 0), np.uint8)


def drawn(frames: int, dials: Sequence[Dial]) -> list[list[int]]:
    """The red of the pictures on the sheet, row by row; the source's is 0, that of cell n is n."""
    shot = Shot(0, tuple(Frame(n, Fraction(n, 8), picture(0)) for n in range(frames)))
    chosen = ChosenFrames((shot,), tuple(n / 8 for n in range(frames)))
    cells: list[Cell] = span_cells("a fox", {}, dials)
    outcomes = [
        Outcome(cell, (picture(cell.number),) * frames, 1.0, 1, Options.from_flat(cell.values), (), "")
        for cell in cells
    ]
    return read_pictures(preview_sheet(chosen, outcomes, dials, "/clips/wolf.mp4"))


def read_pictures(sheet: Image.Image) -> list[list[int]]:
    pixels = np.asarray(sheet)
    found = (pixels[..., 1] == 1) & (pixels[..., 2] == 0)
    lines = [line for line in range(1, len(found)) if found[line].any() and not found[line - 1].any()]
    return [
        [int(row[at, 0]) for at in range(1, len(row)) if here[at] and not here[at - 1]]
        for row, here in ((pixels[line + 5], found[line + 5]) for line in lines)
    ]


def test_several_frames_are_rows() -> None:
    assert drawn(3, DIALS) == [[0] * 3, *([number] * 3 for number in range(1, 7))]
    assert drawn(2, []) == [[0, 0], [1, 1]]


def test_a_single_picture_is_a_grid() -> None:
    assert drawn(1, DIALS) == [[0], [1, 2, 3], [4, 5, 6]]
    assert drawn(1, DIALS[:1]) == [[0], [1, 2, 3]]
    assert drawn(1, []) == [[0], [1]]
