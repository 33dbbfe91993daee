"""A folder of stills, and jobs files for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.batch.rows import Common

Jobs = Callable[[str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty stills, in/00.png to in/19.png, and an empty folder out."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    drawing = np.random.default_rng(0)
    for number in range(20):
        pixels = drawing.integers(0, 256, (4, 6, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels).save(tmp_path / f"in/{number:02d}.png")
    return tmp_path


@pytest.fixture
def jobs(folder: Path, checkpoint: Path) -> Jobs:
    """jobs(rows): a jobs file of these rows, under defaults that make a row quick."""

    def write(rows: str) -> Path:
        defaults = f'model = {str(checkpoint)!r}\nsize = 16\nsteps = 1\nsource_prompt = ""\nprompt = "a fox"\n'
        (folder / "jobs.toml").write_text(f'{defaults}output = "out/{{stem}}.png"\n{rows}', "utf-8")
        return folder / "jobs.toml"

    return write


@pytest.fixture
def common(tmp_path: Path) -> Common:
    return Common(over={"store": tmp_path / "store", "device": "cpu"})
