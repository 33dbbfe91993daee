"""The benchmark of speed: published recipes and ours, counted as they were asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import OptionError
from pnpvideo.measure import speed
from pnpvideo.measure.footage import Footage
from pnpvideo.measure.speed import Plain, measure_speed
from pnpvideo.measure.world import WorldOptions
from pnpvideo.miniature.world import random_scene
from pnpvideo.settings.options import Options

FRAMES, STEPS, EVERY = 3, 4, 2
ONCE = 1 / FRAMES  # the miniature is asked once whether it knows such pictures
SAME: dict[str, Any] = {"steps": STEPS, "solver": "ddim", "spacing": "checkpoint", "inversion_rounds": 0}


@pytest.fixture(scope="module")
def miniature() -> StableDiffusion:
    return StableDiffusion("miniature", torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("recipe", "evaluations"),
    [
        (Plain(kind="flow", inversion=STEPS, steps=STEPS), 2 * STEPS + 3 * STEPS * (FRAMES + 2) / FRAMES),
        (Plain(kind="none", inversion=20, steps=STEPS, reconstructed=False), 20 + 3 * STEPS),
        (SAME, STEPS + 3 * STEPS + ONCE),
        ({**SAME, "inversion_rounds": 1}, 2 * STEPS + 3 * STEPS + ONCE),
        ({"coherence": "none", "feature_until": 0.5, "attention_until": 0.5, "steps": STEPS}, 3.5 * STEPS + ONCE),
    ],
)
def test_evaluations_are_those_that_were_asked(
    recipe: Plain | dict[str, Any], evaluations: float, miniature: StableDiffusion
) -> None:
    base = Options.from_flat({"keyframe_every": EVERY, "size": 64})
    footage = Footage(random_scene(3), "cartoon", "photo", FRAMES, 64)
    frames, cost = speed.made(miniature, base, recipe, footage)
    assert cost["evaluations"] == pytest.approx(evaluations)
    assert cost["seconds"] > 0 and cost["mebibytes"] >= 0
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * FRAMES


def test_ours_is_the_published_result(miniature: StableDiffusion) -> None:
    """Same steps, same keyframes: no pixel differs by more than rounding."""
    base = Options.from_flat({"keyframe_every": EVERY, "size": 64})
    footage = Footage(random_scene(3), "cartoon", "photo", FRAMES, 64)
    plain, _ = speed.made(miniature, base, Plain(kind="flow", inversion=STEPS, steps=STEPS), footage)
    ours, _ = speed.made(miniature, base, SAME, footage)
    assert np.abs(np.subtract(plain, ours, dtype=float)).max() <= 1
    assert np.abs(np.subtract(plain, footage.source, dtype=float)).mean() > 3


def test_the_table_holds_each_recipe_beside_the_yardstick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipes: dict[str, Plain | dict[str, Any]] = {
        speed.YARDSTICK: Plain(kind="flow", inversion=8, steps=STEPS),
        speed.SAME_AS: Plain(kind="flow", inversion=STEPS, steps=STEPS, reconstructed=False),
        speed.SAME: SAME,
    }
    options = WorldOptions(clips=2, frames=2, size=64, tasks=(("cartoon", "photo"),), split="tuning")
    base, journal = Options.from_flat({"keyframe_every": EVERY}), tmp_path / "journal.jsonl"
    first = measure_speed(options, base, recipes, journal=journal)
    rows = first.rows["cartoon to photo"]
    assert rows[speed.YARDSTICK]["ratio"] == 1.0
    assert rows[speed.SAME]["difference"] <= 1 and "difference" not in rows[speed.SAME_AS]
    assert rows[speed.SAME]["ratio"] == pytest.approx(rows[speed.YARDSTICK]["seconds"] / rows[speed.SAME]["seconds"])
    assert "ratio" not in rows["truth"] and {"match", "warp", "structure"} <= set(rows[speed.SAME])
    assert "| times as fast |" in first.markdown() and first.protocol["machine"]["threads"] == torch.get_num_threads()
    asked: list[object] = []

    def remembered(backend: object, base: object, recipe: object, footage: Footage) -> object:
        asked.append(recipe)
        return footage.source, {"seconds": 1.0}

    monkeypatch.setattr(speed, "made", remembered)
    measure_speed(options, base, recipes, journal=journal)
    assert len(asked) == len(recipes)  # of the first clip, for its pictures; the second is in the journal


def test_presets_are_not_made_alike() -> None:
    with pytest.raises(OptionError, match="steps is set, and would make the presets alike"):
        measure_speed(WorldOptions(clips=1, frames=2, size=64), Options.from_flat({"steps": 4}))
