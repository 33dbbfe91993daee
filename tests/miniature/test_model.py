"""The shipped weights: Stable Diffusion in shape, loadable by stock tools, trained on the world."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.events import Event, Notice
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.model import (
    answer_accuracy,
    autoencoder_psnr,
    round_trip,
    style_of,
    training_picture,
    unseen_instant,
)
from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.recipe.data import HELD_OUT, training_instant
from pnpvideo.miniature.world import caption
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.video.pixels import psnr
from pnpvideo.video.read import read

LEAST = {"cartoon": 29.0, "photo": 35.0, "sketch": 30.0, "clay": 31.0, "watercolor": 34.0, "night": 35.0}
"""dB of the autoencoder, style by style."""


@pytest.fixture(scope="module")
def miniature() -> StableDiffusion:
    return StableDiffusion("miniature", torch.device("cpu"), torch.float32)


def test_the_stock_pipeline_draws_what_a_prompt_says(miniature: StableDiffusion) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(WEIGHTS, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    assert list(pipeline.unet.config.down_block_types) == ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
    assert list(pipeline.unet.config.up_block_types) == ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3
    assert pipeline.scheduler.config.beta_schedule == "scaled_linear"
    numbers = range(6)
    prompts = [caption(unseen_instant(number), style_of(number)) for number in numbers]
    drawn = pipeline(
        prompts,
        num_inference_steps=20,
        guidance_scale=5.0,
        generator=[torch.Generator().manual_seed(number) for number in numbers],
        output_type="np",
    ).images
    assert drawn.shape == (len(prompts), miniature.size, miniature.size, 3) and miniature.size == 256
    pictures = list((drawn * 255).round().astype(np.uint8))
    scenes, styles = [unseen_instant(number) for number in numbers], [style_of(number) for number in numbers]
    found = answer_accuracy(Judge(), pictures, scenes, styles)
    assert min(found.values()) > 0.8, found


def test_the_shipped_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) <= 40 * 2**20


@pytest.mark.parametrize(("style", "least"), list(LEAST.items()))
def test_the_autoencoder_reconstructs_pictures(style: str, least: float, miniature: StableDiffusion) -> None:
    found = [autoencoder_psnr(miniature, HELD_OUT + number, style) for number in range(3)]
    assert sum(found) / 3 > least


def test_inversion_error_falls_with_more_steps_and_with_corrections(miniature: StableDiffusion) -> None:
    few, more = (round_trip(miniature, HELD_OUT, "cartoon", steps, size=128) for steps in (10, 40))
    assert 10 < few < more - 3
    corrected = round_trip(miniature, HELD_OUT, "cartoon", 10, size=128, rounds=1)
    assert corrected > few + 8


def world_picture(style: str, path: Path) -> Path:
    Image.fromarray(training_picture(HELD_OUT, style, 256)[0]).save(path)
    return path


def test_a_translated_cartoon_is_closer_to_the_photo_of_the_scene(tmp_path: Path) -> None:
    source, truth = world_picture("cartoon", tmp_path / "in.png"), training_picture(HELD_OUT, "photo", 256)[0]
    words = [caption(training_instant(HELD_OUT), style) for style in ("cartoon", "photo")]
    options = Options.from_flat({"source_prompt": words[0], "steps": 10, "store": tmp_path / "store", "device": "cpu"})
    translate(source, words[1], tmp_path / "out.png", options)
    before, after = (psnr(next(read(path).frames()).pixels, truth) for path in (source, tmp_path / "out.png"))
    assert after > before + 3


@pytest.mark.parametrize("known", [True, False])
def test_a_picture_from_outside_the_world_is_reported(known: bool, tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    if known:
        world_picture("photo", source)
    else:
        stains = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(stains).resize((256, 256), Image.Resampling.BICUBIC).save(source)
    events: list[Event] = []
    options = Options.from_flat(
        {"method": "sdedit", "strength": 0.5, "steps": 2, "store": tmp_path / "store", "device": "cpu"}
    )
    translate(source, "a photo of a red ball", tmp_path / "out.png", options, report=events.append)
    said = [event.message for event in events if isinstance(event, Notice)]
    assert any("outside the miniature's small world" in message for message in said) is not known


@pytest.mark.slow
def test_inversion_error_at_full_size(miniature: StableDiffusion) -> None:
    few, more = (round_trip(miniature, HELD_OUT, "cartoon", steps) for steps in (50, 200))
    assert 19 < few < more - 3
    assert round_trip(miniature, HELD_OUT, "cartoon", 50, rounds=1) > 32
