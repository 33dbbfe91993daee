"""--vae: an autoencoder from a folder, a checkpoint, or a file in either naming; what does not fit is said."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

from pnpvideo.backends.autoencoder_file import AutoencoderFile
from pnpvideo.backends.family import Family
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError
from pnpvideo.settings.options import Customization
from tests.backends.originals import original, vae, weights, write_single


@pytest.fixture(scope="module")
def packagings(folders_of_families: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The autoencoder of the checkpoint of the family 2.x, in every way in which it can be named."""
    root, folder = tmp_path_factory.mktemp("vae"), folders_of_families["2.x"]
    tensors = weights(folder, "vae")
    whole = {f"first_stage_model.{name}": value for name, value in vae(tensors).items()}
    return {
        "folder": folder / "vae",
        "checkpoint": folder,
        "LDM": write_single(root / "ldm.safetensors", vae(tensors) | {"loss.logvar": torch.ones(())}),
        "LDM with its prefix": write_single(root / "prefix.safetensors", whole),
        "diffusers": write_single(root / "diffusers.safetensors", tensors),
        "single file": write_single(root / "whole.safetensors", original(folder, "2.x")),
    }


def loaded(folder: Path, path: Path | None) -> StableDiffusion:
    return StableDiffusion(str(folder), torch.device("cpu"), torch.float32, customization=Customization(vae=path))


NAMES = ("folder", "checkpoint", "LDM", "LDM with its prefix", "diffusers", "single file")


def test_every_packaging_has_the_same_weights(
    packagings: dict[str, Path], folders_of_families: dict[str, Path]
) -> None:
    expected = weights(folders_of_families["2.x"], "vae")
    for name in NAMES:
        found = AutoencoderFile.of(packagings[name]).network(AutoencoderKL, torch.float32).state_dict()
        assert found.keys() == expected.keys(), name
        assert all(torch.equal(value, expected[key]) for key, value in found.items()), name


def test_another_autoencoder_is_used(packagings: dict[str, Path], folders_of_families: dict[str, Path]) -> None:
    own, other = (loaded(folders_of_families[family], None) for family in ("1.x", "2.x"))
    found = loaded(folders_of_families["1.x"], packagings["LDM"])
    assert all(torch.equal(a, b) for a, b in zip(found.network.parameters(), own.network.parameters(), strict=True))
    pixels = np.random.default_rng(0).integers(0, 255, (1, 16, 16, 3), np.uint8)
    assert torch.equal(found.encode(pixels), other.encode(pixels))
    assert found.fingerprint not in (own.fingerprint, other.fingerprint)


def test_a_single_file_without_an_autoencoder_gets_one(
    packagings: dict[str, Path], folders_of_families: dict[str, Path], tmp_path: Path
) -> None:
    tensors = original(folders_of_families["1.x"], "1.x")
    pruned = {name: value for name, value in tensors.items() if not name.startswith("first_stage_model.")}
    path = write_single(tmp_path / "pruned.safetensors", pruned)
    assert loaded(path, packagings["LDM"]).size == 512
    with pytest.raises(ModelError, match=r"has no autoencoder.*--vae"):
        loaded(path, None)


def test_an_autoencoder_that_does_not_fit_is_refused(
    packagings: dict[str, Path], folders_of_families: dict[str, Path], tmp_path: Path
) -> None:
    wide = weights(folders_of_families["2.x"], "vae")
    wide["decoder.conv_in.weight"] = torch.zeros(32, 16, 3, 3)
    cases = {
        "makes latents of 16 channels, and the model takes 4": write_single(tmp_path / "wide.safetensors", wide),
        "is missing": tmp_path / "nothing",
        "cannot be loaded as safetensors": tmp_path / "cut.safetensors",
    }
    content = packagings["LDM"].read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    scaled = Path(shutil.copytree(packagings["folder"], tmp_path / "scaled"))
    config = json.loads((scaled / "config.json").read_text())
    (scaled / "config.json").write_text(json.dumps({**config, "scaling_factor": 0.13025}))
    cases["scales its latents by 0.13025"] = scaled
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(1, 1)}, tmp_path / "lora.safetensors")
    cases["is a LoRA.*accepted for --vae"] = tmp_path / "lora.safetensors"
    (tmp_path / "vae.pt").write_bytes(b"\x80\x02}q\x00.")
    cases["is pickled weights, which are never opened"] = tmp_path / "vae.pt"
    for says, path in cases.items():
        with pytest.raises(ModelError, match=says) as refused:
            loaded(folders_of_families["1.x"], path)
        assert len(str(refused.value).splitlines()) == 1


def test_latents_are_scaled_as_the_models_family_does(
    packagings: dict[str, Path], folders_of_families: dict[str, Path], tmp_path: Path
) -> None:
    xl = folders_of_families["XL"]
    whole = write_single(tmp_path / "whole.safetensors", original(xl, "XL"))
    assert loaded(xl, packagings["LDM"]).vae.config.scaling_factor == 0.13025  # a file alone says nothing
    assert AutoencoderFile.of(whole).config["scaling_factor"] == 0.13025
    one, other = (Family.SD1.latent_scale, Family.SDXL.latent_scale)
    for model, path, says in (
        (folders_of_families["1.x"], xl, f"by {other}, and the model's autoencoder by {one}"),
        (folders_of_families["1.x"], whole, f"by {other}, and the model's autoencoder by {one}"),
        (xl, packagings["folder"], f"by {one}, and the model's autoencoder by {other}"),
        (xl, packagings["single file"], f"by {one}, and the model's autoencoder by {other}"),
    ):
        with pytest.raises(ModelError, match=says):
            loaded(model, path)


def test_a_header_is_enough_to_know_it(packagings: dict[str, Path]) -> None:
    configs = [AutoencoderFile.of(packagings[name]).config for name in ("LDM", "diffusers", "folder")]
    assert [config["block_out_channels"] for config in configs] == [[32, 32, 32, 32]] * 3
    assert [config["latent_channels"] for config in configs] == [4] * 3
