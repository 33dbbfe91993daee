"""A preview is a sheet, a JSON file, and pictures of each cell."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo import Runtime, Sampling, explore
from pnpvideo.errors import OutputError
from pnpvideo.events import ignore
from pnpvideo.explore import pick
from pnpvideo.explore.previews import preview
from pnpvideo.pipeline import translate
from pnpvideo.settings.prompts import Prompts

Clips = Callable[..., Path]


def test_what_is_saved_can_be_picked(clip_of: Clips, checkpoint: Path, tmp_path: Path) -> None:
    clip = clip_of(6)
    found = preview(
        clip,
        "a fox",
        grid={"guidance": [1.0, 3.0], "attention_until": [0.2, 0.9]},
        frames=2,
        report=ignore,
        model=str(checkpoint),
        sampling=Sampling(steps=2, size=32),
        prompts=Prompts(source_prompt="a hen"),
        runtime=Runtime(store=tmp_path / "store"),
    )
    assert [outcome.cell.number for outcome in found.outcomes] == [1, 2, 3, 4]
    found.save(tmp_path / "sheet.png")
    found.save_cells(tmp_path / "cells")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > 5 * 64 and sheet.width > 2 * 96
    chosen = pick(tmp_path / "sheet.png#4")
    assert (chosen.prompt, chosen.input) == ("a fox", clip)
    assert (chosen.values["guidance"], chosen.values["attention_until"], chosen.values["steps"]) == (3.0, 0.9, 2)
    assert pick(tmp_path / "cells" / "cell-4.json").values == chosen.values
    assert len(list((tmp_path / "cells").iterdir())) == 4 * 3
    with Image.open(tmp_path / "cells" / "cell-4-frame-1.png") as picture:
        assert np.array_equal(np.asarray(picture), found.outcomes[3].pictures[0])
    with pytest.raises(OutputError, match=r"sheet\.json has come to exist"):
        found.save(tmp_path / "sheet.png")
    found.save(tmp_path / "sheet.png", overwrite=True)
    found.save_cells(tmp_path / "cells", overwrite=True)


def test_a_picked_clip_is_that_of_the_same_options(clip_of: Clips, checkpoint: Path, tmp_path: Path) -> None:
    clip = clip_of(3)
    options = {"steps": 2, "size": 32, "source_prompt": "a hen", "model": str(checkpoint), "device": "cpu"}
    found = preview(
        clip,
        None,
        grid={"prompt": ["a fox", "a cow"], "guidance": [1.0, 3.0]},
        frames=1,
        report=ignore,
        model=str(checkpoint),
        sampling=Sampling(steps=2, size=32),
        prompts=Prompts(source_prompt="a hen"),
        runtime=Runtime(store=tmp_path / "one", device="cpu"),
    )
    found.save(tmp_path / "sheet.png")
    chosen = pick(tmp_path / "sheet.png#4")
    picked = translate(clip, chosen.prompt, tmp_path / "picked.mp4", chosen.options)
    scratch = type(chosen.options).from_flat({**options, "guidance": 3.0, "store": tmp_path / "two"})
    translate(clip, "a cow", tmp_path / "scratch.mp4", scratch)
    assert (tmp_path / "picked.mp4").read_bytes() == (tmp_path / "scratch.mp4").read_bytes()
    assert picked.report["origins"]["guidance"] == f"pick {tmp_path / 'sheet.png#4'}"
    assert json.loads((tmp_path / "sheet.json").read_text())["cells"][3]["dials"] == {
        "prompt": "a cow",
        "guidance": "3.0",
    }


def test_the_room_names_its_functions() -> None:
    assert explore.preview is preview and dir(explore) == sorted(explore.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = explore.nothing  # type: ignore[attr-defined]
