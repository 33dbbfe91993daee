"""The fake backend through the whole engine: where inversion and sampling end is known in closed form."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.fake import FakeBackend
from pnpvideo.coherence.independent import Independent
from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.methods.method import Method
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options, Runtime, Sampling
from pnpvideo.settings.prompts import Prompts
from pnpvideo.video.read import read

MEANS = {"dusk": (-0.3, -0.2, 0.1), "noon": (0.1, 0.2, 0.0)}
SHIFT = 127.5 * np.subtract(MEANS["noon"], MEANS["dusk"])


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A picture of dusk, far enough from black and white for the shift to noon."""
    values = np.random.default_rng(0).normal(MEANS["dusk"], 0.1, (32, 32, 3))
    Image.fromarray(((values + 1) * 127.5).round().clip(0, 255).astype(np.uint8)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def error(still: Path, backend: Backend, steps: int, solver: str) -> float:
    """The largest difference of a translated value from the analytic answer, of 255."""
    folder = still.parent
    options = Options(
        method=Method(),
        coherence=Independent(),
        prompts=Prompts(source_prompt="dusk"),
        sampling=Sampling(steps=steps, solver=solver, guidance=1.0),
        runtime=Runtime(store=folder / f"store-{steps}-{solver}"),
        overwrite=True,
    )
    output = translate(still, "noon", folder / "out.png", options, backend=backend).output
    before, after = (next(read(path).frames()).pixels.astype(float) for path in (still, output))
    return float(np.abs(after - before - SHIFT).max())


@pytest.mark.parametrize("prediction", Prediction)
def test_a_translation_shifts_a_picture_by_the_difference_of_the_means(prediction: Prediction, still: Path) -> None:
    """Inverted with one mean, sampled with the other: the exact flow maps x0 to x0 + mean' - mean."""
    backend = FakeBackend(MEANS, prediction=prediction)
    coarse, fine = (error(still, backend, steps, "ddim") for steps in (8, 64))
    assert fine < 0.3 * coarse and fine <= 6
    assert error(still, backend, 8, "2m") < 0.5 * coarse and error(still, backend, 32, "2m") <= 3


@pytest.mark.parametrize("prediction", Prediction)
def test_every_prediction_says_the_same_of_the_same_picture(prediction: Prediction) -> None:
    backend, flow = FakeBackend(MEANS, prediction=prediction), FakeBackend(MEANS, prediction=Prediction.SAMPLE)
    schedule = backend.schedule(5)
    x = torch.randn((2, 3, 4, 4), generator=torch.Generator().manual_seed(1))
    words = backend.embed("noon").batch(2)
    if prediction is Prediction.FLOW:
        return
    found = schedule.estimate(x, backend.predict(x, schedule.timestep(3), words), 3)
    assert torch.allclose(found.x0, flow.predict(x, schedule.timestep(3), words), atol=1e-5)


def test_texts_are_read_word_by_word() -> None:
    text = FakeBackend(MEANS).text
    assert text.positions("a red fox and a red hen", "a red") == (1, 2, 5, 6)
    assert text.pieces("a red fox") == ("a", "red", "fox")
    assert text.pieces("one two three four five six seven eight") == ("one", "two", "three", "four", "five", "six")
    assert text.truncation("one two three four five six seven eight") == "seven eight"
    assert text.part_of_tokens(["a ", "red fox"]) == (None, 0, 1, 1, None, None, None, None)
    assert text.blocks("a red fox", "fox") == ((0, 8, 3, 4),) and text.blocks("a red fox", "hen") == ((0, 8, None, 4),)
    assert text.known("fox") and not text.known("red fox")
