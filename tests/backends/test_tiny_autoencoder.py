"""Tiny autoencoders (TAESD): instead of the model's own, and for pictures of unfinished results."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

from pnpvideo.backends.autoencoder_file import AutoencoderFile, tiny_file
from pnpvideo.backends.identify import Kind, identify
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.tiny_autoencoder import TinyDecoder, encoded
from pnpvideo.errors import ModelError
from pnpvideo.events import Event, StepPicture
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Customization, Options
from pnpvideo.video.read import read

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def taesd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of TAESD's shape and random weights."""
    folder = tmp_path_factory.mktemp("tiny") / "taesd"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoencoderTiny().save_pretrained(folder)
    return folder


def file_of(taesd: Path) -> Path:
    return taesd / "diffusion_pytorch_model.safetensors"


def test_it_encodes_and_decodes_as_diffusers_does(taesd: Path, checkpoint: Path, backend: StableDiffusion) -> None:
    assert identify(taesd).kind == identify(file_of(taesd)).kind == Kind.TINY_VAE
    plain = AutoencoderTiny.from_pretrained(taesd)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        latents = plain.encode(x).latents
        decoded = plain.decode(latents).sample
    shown = ((decoded + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    model = StableDiffusion(str(checkpoint), CPU, torch.float32, customization=Customization(vae=taesd))
    assert model.factor == backend.factor and torch.allclose(model.encode(pixels), latents, atol=1e-5)
    decoded_by = [model.decode, *(TinyDecoder(path, 4, CPU).decode for path in (taesd, file_of(taesd)))]
    assert all(np.abs(decode(latents).astype(int) - shown).max() <= 1 for decode in decoded_by)
    assert model.fingerprint != backend.fingerprint and model.footprint(32, 32).picture > 0
    assert torch.allclose(encoded(plain, x), latents, atol=1e-5)


def test_previews_use_it_and_results_do_not(
    taesd: Path, options: Callable[..., Options], clip_of: Callable[..., Path], tmp_path: Path
) -> None:
    shown: dict[str, list[np.ndarray]] = {"own": [], "tiny": []}
    results = []
    for name, preview_vae in (("own", None), ("tiny", taesd)):

        def listen(event: Event, name: str = name) -> None:
            if isinstance(event, StepPicture):
                shown[name].append(event.picture)

        chosen = options(preview_every=1, preview_vae=preview_vae, store=tmp_path / name, coherence="none")
        made = translate(clip_of(1), "a fox", tmp_path / f"{name}-frames", chosen, report=listen)
        results.append(next(read(made.output).frames()).pixels)
    assert np.array_equal(results[0], results[1])
    assert len(shown["own"]) == len(shown["tiny"]) == 1 and not np.array_equal(shown["own"][0], shown["tiny"][0])


def test_what_is_none_or_does_not_fit_is_refused(taesd: Path, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no tiny autoencoder; accepted for --preview-vae"):
        tiny_file(checkpoint / "vae")
    with pytest.raises(ModelError, match="makes latents of 4 channels, and the model takes 16"):
        TinyDecoder(taesd, 16, CPU)
    cut = Path(shutil.copytree(taesd, tmp_path / "cut"))
    content = file_of(cut).read_bytes()
    file_of(cut).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError):
        AutoencoderFile.of(cut)
    with pytest.raises(ModelError, match=r"is a tiny autoencoder.*goes with --vae"):
        StableDiffusion(str(file_of(taesd)), CPU, torch.float32)
