"""Pipelines of Stable Diffusion 3 as models; folders are in test_stable_diffusion3."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pnpvideo
from pnpvideo.backends.parts3 import parts3_of_name
from pnpvideo.errors import ModelError
from pnpvideo.settings.options import OptionGroups, Runtime, Sampling
from pnpvideo.settings.prompts import Prompts
from tests.joint import pipeline_of, write_joint


@pytest.fixture(scope="module", params=["with T5", "without T5"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_joint(tmp_path_factory.mktemp("joint") / "random", t5=request.param == "with T5")


def test_a_pipeline_of_diffusers_is_a_model(folder: Path) -> None:
    """It is frozen, translates as its folder does, and has a fingerprint of its weights."""
    given = [Image.fromarray(np.random.default_rng(n).integers(0, 255, (32, 32, 3), np.uint8)) for n in range(2)]
    chosen: OptionGroups = {
        "prompts": Prompts(source_prompt="a hen"),
        "sampling": Sampling(steps=2, size=32),
        "runtime": Runtime(device="cpu"),
    }
    pipeline = pipeline_of(folder)
    found = pnpvideo.load(pipeline).translate_frames(given, "a fox", **chosen)
    expected = pnpvideo.load(folder, device="cpu").translate_frames(given, "a fox", **chosen)
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(found, expected, strict=True))
    again = pnpvideo.load(pipeline).backend
    assert again.fingerprint == pnpvideo.load(pipeline).backend.fingerprint and again.size == 64
    with torch.no_grad():
        next(pipeline.transformer.parameters()).add_(1.0)
    assert pnpvideo.load(pipeline).backend.fingerprint != again.fingerprint
    pipeline.vae = torch.nn.Identity()
    with pytest.raises(ModelError, match="vae is Identity; accepted is a StableDiffusion3Pipeline, whose vae is Auto"):
        pnpvideo.load(pipeline)


def test_a_pipeline_in_half_precision_keeps_its_network_and_t5(folder: Path) -> None:
    pipeline = pipeline_of(folder).to(torch.bfloat16)
    found = pnpvideo.load(pipeline).backend
    assert found.dtype == torch.bfloat16 and found.network is pipeline.transformer
    encoders = found.text.encoders  # type: ignore[attr-defined]
    kinds = {"text_encoder": torch.float32, "text_encoder_2": torch.float32, "text_encoder_3": torch.bfloat16}
    assert all(encoder.dtype == kinds[name] for name, encoder in encoders.items())
    assert found.embed("a fox").tokens.dtype == torch.float32


def test_parts_that_do_not_belong_together_are_refused(folder: Path) -> None:
    pipeline = pipeline_of(folder)
    pipeline.vae.register_to_config(latent_channels=4)
    with pytest.raises(ModelError, match=r"takes 16 channels .* the autoencoder makes 4 .* do not belong together"):
        pnpvideo.load(pipeline)
    parts = parts3_of_name(folder, torch.device("cpu"), torch.float32)
    assert parts.source == folder and parts.captioner is None and not parts.few_step
