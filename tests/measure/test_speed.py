"""The benchmark of speed: costs of published recipes and ours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import OptionError
from pnpvideo.measure import speed
from pnpvideo.measure.footage import Footage
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.speed import PublishedRecipe, measure_speed
from pnpvideo.measure.world import WorldOptions
from pnpvideo.miniature.world import random_scene
from pnpvideo.settings.options import Options

FRAMES, STEPS, EVERY = 3, 4, 2
SAME_STEPS: dict[str, Any] = {"steps": STEPS, "solver": "ddim", "spacing": "checkpoint", "inversion_rounds": 0}


@pytest.fixture(scope="module")
def miniature() -> StableDiffusion:
    return StableDiffusion("miniature", torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("recipe", "evaluations"),
    [
        (PublishedRecipe(kind="flow", inversion=STEPS, steps=STEPS), 2 * STEPS + 3 * STEPS * (FRAMES + 2) / FRAMES),
        (PublishedRecipe(kind="none", inversion=20, steps=STEPS, reconstruct=False), 20 + 3 * STEPS),
        (SAME_STEPS, STEPS + 3 * STEPS),
        ({**SAME_STEPS, "inversion_rounds": 1}, 2 * STEPS + 3 * STEPS),
        ({"coherence": "none", "feature_until": 0.5, "attention_until": 0.5, "steps": STEPS}, 3.5 * STEPS),
    ],
)
def test_evaluations_are_counted(
    recipe: PublishedRecipe | dict[str, Any], evaluations: float, miniature: StableDiffusion
) -> None:
    base = Options.from_flat({"keyframe_every": EVERY, "size": 64})
    footage = Footage(random_scene(3), "cartoon", "photo", FRAMES, 64)
    frames, cost = speed.translate_timed(miniature, base, recipe, footage)
    assert cost["evaluations"] == pytest.approx(evaluations)
    assert cost["seconds"] > 0 and cost["mebibytes"] > 0
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * FRAMES


def test_the_engine_matches_the_reference(miniature: StableDiffusion) -> None:
    """Same steps, same keyframes: no pixel differs by more than rounding."""
    base = Options.from_flat({"keyframe_every": EVERY, "size": 64})
    footage = Footage(random_scene(3), "cartoon", "photo", FRAMES, 64)
    plain, _ = speed.translate_timed(
        miniature, base, PublishedRecipe(kind="flow", inversion=STEPS, steps=STEPS), footage
    )
    ours, _ = speed.translate_timed(miniature, base, SAME_STEPS, footage)
    assert np.abs(np.subtract(plain, ours, dtype=float)).max() <= 1
    assert np.abs(np.subtract(plain, footage.source, dtype=float)).mean() > 3


@pytest.mark.slow
def test_the_table_compares_recipes_with_published_tokenflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipes: dict[str, PublishedRecipe | dict[str, Any]] = {
        speed.PUBLISHED_TOKENFLOW: PublishedRecipe(kind="flow", inversion=8, steps=STEPS),
        speed.SAME_STEPS_PUBLISHED: PublishedRecipe(kind="flow", inversion=STEPS, steps=STEPS, reconstruct=False),
        speed.SAME_STEPS: SAME_STEPS,
    }
    options = WorldOptions(clips=2, frames=2, size=64, tasks=(("cartoon", "photo"),), split="tuning")
    base, journal = Options.from_flat({"keyframe_every": EVERY}), tmp_path / "journal.jsonl"
    first = measure_speed(options, base, recipes, journal=journal)
    rows = first.rows["cartoon to photo"]
    assert rows[speed.PUBLISHED_TOKENFLOW]["ratio"] == 1.0
    assert rows[speed.SAME_STEPS]["difference"] <= 1 and "difference" not in rows[speed.SAME_STEPS_PUBLISHED]
    assert rows[speed.SAME_STEPS]["ratio"] == pytest.approx(
        rows[speed.PUBLISHED_TOKENFLOW]["seconds"] / rows[speed.SAME_STEPS]["seconds"]
    )
    assert "ratio" not in rows["truth"] and {"match", "warp", "structure"} <= set(rows[speed.SAME_STEPS])
    assert "| times as fast |" in first.markdown() and first.protocol["machine"]["threads"] == torch.get_num_threads()
    asked: list[object] = []

    def remembered(backend: object, base: object, recipe: object, footage: Footage) -> object:
        asked.append(recipe)
        return footage.source, {"seconds": 1.0}

    monkeypatch.setattr(speed, "translate_timed", remembered)
    measure_speed(options, base, recipes, journal=journal)
    assert len(asked) == len(recipes)  # of the first clip, for its pictures; the second is in the journal
    asked.clear()
    monkeypatch.setattr(Judge, "fingerprint", "of other weights")
    measure_speed(options, base, recipes, journal=journal)
    assert len(asked) == 2 * len(recipes)  # figures of another judge are not those of this one


def test_options_that_override_every_preset_are_refused() -> None:
    with pytest.raises(OptionError, match="steps is set, and would make the presets alike"):
        measure_speed(WorldOptions(clips=1, frames=2, size=64), Options.from_flat({"steps": 4}))
