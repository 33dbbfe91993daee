"""The weights that ship: they are Stable Diffusion's in shape, the field's tools load them, and they know the world."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.measure.model import autoencoder_psnr, round_trip
from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.recipe.data import HELD_OUT


@pytest.fixture(scope="module")
def miniature() -> StableDiffusion:
    return StableDiffusion("miniature", torch.device("cpu"), torch.float32)


def test_the_stock_pipeline_draws_with_it(miniature: StableDiffusion) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(WEIGHTS, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    assert list(pipeline.unet.config.down_block_types) == ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
    assert list(pipeline.unet.config.up_block_types) == ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3
    assert pipeline.scheduler.config.beta_schedule == "scaled_linear"
    drawn = pipeline("a photo of a red ball on grass", num_inference_steps=1, output_type="pil")
    assert drawn.images[0].size == (miniature.size, miniature.size) == (256, 256)


def test_the_shipped_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) <= 40 * 2**20


@pytest.mark.parametrize(("style", "least"), [("cartoon", 23.0), ("photo", 27.0), ("sketch", 18.0)])
def test_the_autoencoder_gives_pictures_back(style: str, least: float, miniature: StableDiffusion) -> None:
    found = [autoencoder_psnr(miniature, HELD_OUT + number, style) for number in range(3)]
    assert sum(found) / 3 > least


def test_inversion_comes_back_closer_with_more_steps(miniature: StableDiffusion) -> None:
    few, more = (round_trip(miniature, HELD_OUT, "cartoon", steps, size=128) for steps in (10, 40))
    assert 10 < few < more - 3


@pytest.mark.slow
def test_inversion_comes_back_at_full_size(miniature: StableDiffusion) -> None:
    few, more = (round_trip(miniature, HELD_OUT, "cartoon", steps) for steps in (50, 200))
    assert 20 < few < more - 3
