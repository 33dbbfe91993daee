"""On a GPU: what comes out is what the CPU makes, in each precision, whole or with parts waiting elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.student.distill import Distillation, distill
from pnpvideo.student.examples import Drawing
from pnpvideo.student.network import Shape
from pnpvideo.student.pairs import Filter
from pnpvideo.student.train import Recipe
from pnpvideo.video.read import read

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture
def made(clip_of: Callable[..., Path], options: Callable[..., Options], tmp_path: Path) -> Callable[..., Any]:
    """The frames of the same clip of nine, translated with other options and an empty store."""
    source = clip_of(9, 128, 96)
    runs: list[Path] = []

    def run(**given: Any) -> np.ndarray:
        output = tmp_path / f"out{len(runs)}.mkv"
        runs.append(output)
        asked = options(**{"size": 64, "steps": 4, "keyframe_every": 4, "store": tmp_path / f"s{len(runs)}", **given})
        translate(source, "a fox", output, asked)
        return np.stack([frame.pixels for frame in read(output).frames()])

    return run


@pytest.mark.parametrize("given", [{}, {"coherence": "joint"}, {"method": "pix2pix-zero", "coherence": "none"}])
@pytest.mark.parametrize(("dtype", "near"), [("float32", 0.5), ("float16", 3.0), ("bfloat16", 12.0)])
def test_a_gpu_makes_what_the_cpu_makes(
    dtype: str, near: float, given: dict[str, Any], made: Callable[..., Any]
) -> None:
    expected, found = made(**given), made(device="cuda", dtype=dtype, **given)
    assert np.abs(found.astype(float) - expected).mean() < near
    assert expected.std() > 2 * near


def test_parts_that_wait_off_the_gpu_change_nothing(made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = made(device="cuda", dtype="float32")
    whole = StableDiffusion.__init__

    def offloaded(self: StableDiffusion, *given: Any) -> None:
        whole(self, *given)
        assert self.offload()

    monkeypatch.setattr(StableDiffusion, "__init__", offloaded)
    assert np.abs(made(device="cuda", dtype="float32").astype(float) - expected).max() <= 1


@pytest.mark.filterwarnings("ignore")  # of the compiler, about itself
def test_compiled_is_the_same(made: Callable[..., Any]) -> None:
    expected, found = (made(device="cuda", dtype="float32", compile=wanted) for wanted in (False, True))
    assert np.abs(found.astype(float) - expected).mean() < 0.5


def test_a_student_is_distilled_on_a_gpu(options: Callable[..., Options], tmp_path: Path) -> None:
    """Its training is there too, with the features of the model's autoencoder."""
    folder = tmp_path / "in"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(draw.integers(0, 255, (64, 64, 3), np.uint8)).save(folder / f"{number}.png")
    recipe = Recipe(shape=Shape((8, 8), style=8), drawing=Drawing(batch=2, patch=16), steps=6, adversarial_after=2)
    asked = options(device="cuda", size=64, steps=2, source_prompt="a ball", store=tmp_path / "store")
    how = Distillation(pairs=3, recipe=recipe, filter=Filter(least_gain=-2))
    assert distill(folder, "a fox", tmp_path / "student", asked, how).card.figures["held_out"] == 1
