"""The influence of a layer's features, and the card's choice of layers."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.influence import influences
from pnpvideo.backends.load import load
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError
from pnpvideo.injection import Conditioning, Kind, Role, Site, select, with_role
from pnpvideo.settings.card import Card
from pnpvideo.settings.options import Runtime

CPU = Runtime(device="cpu")


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def recommend(folder: Path, **card: object) -> None:
    (folder / "pnpvideo.json").write_text(json.dumps(card), encoding="utf-8")


def residuals(backend: Backend, layers: Sequence[int]) -> tuple[Site, ...]:
    return select(backend.sites, Kind.RESIDUAL, "decoder", layers)


def test_a_branch_that_is_cut_has_no_influence(copy: Path) -> None:
    (weights,) = (copy / "unet").glob("*.safetensors")
    tensors = load_file(weights)
    for name in ("weight", "bias"):
        tensors[f"up_blocks.1.resnets.1.conv2.{name}"].zero_()
    save_file(tensors, weights)
    backend = load(str(copy), CPU)
    cut, whole = influences(backend, residuals(backend, [4, 11])).values()
    assert cut == 0 < whole
    assert not any(module._forward_hooks for module in backend.network.modules())


def test_a_branch_that_sees_no_picture_has_no_influence(copy: Path) -> None:
    (weights,) = (copy / "unet").glob("*.safetensors")
    tensors = load_file(weights)
    tensors["up_blocks.3.resnets.2.conv2.weight"].zero_()
    tensors["up_blocks.3.resnets.2.conv2.bias"].fill_(1.0)
    save_file(tensors, weights)
    backend = load(str(copy), CPU)
    assert list(influences(backend, residuals(backend, [11])).values()) == pytest.approx([0], abs=1e-6)


class Listening(StableDiffusion):
    """Notes the clean latents, and the timestep and latents of the latest call."""

    def encode(self, pixels: np.ndarray) -> Tensor:
        self.clean = super().encode(pixels)
        return self.clean

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        self.called = timestep, x
        return super().predict(x, timestep, context)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_influence_is_that_of_the_middle_whatever_the_spacing(spacing: str, checkpoint: Path) -> None:
    """Under one noise, the latents differ as the clean ones do, times the signal of the timestep that is told."""
    backend = Listening(str(checkpoint), torch.device("cpu"), torch.float32)
    backend.scheduler_config = {**backend.scheduler_config, "timestep_spacing": spacing}
    influences(backend, ())
    timestep, noisy = backend.called
    assert 440 <= timestep <= 560
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
    signal = float((1 - betas[: int(timestep) + 1]).prod().sqrt())
    assert torch.allclose(noisy[0] - noisy[1], signal * (backend.clean[0] - backend.clean[1]), atol=1e-5)


def test_a_card_names_the_layers_of_structure(copy: Path) -> None:
    def layers() -> list[int]:
        return [site.layer for site in with_role(load(str(copy), CPU).sites, Role.STRUCTURE_FEATURES)]

    assert layers() == [4]
    recommend(copy, structure_layers=[4, 7])
    assert layers() == [4, 7]
    attention = with_role(load(str(copy), CPU).sites, Role.STRUCTURE_ATTENTION)
    assert min(site.layer for site in attention) == 4  # which the card does not move
    recommend(copy, structure_layers=[12])
    with pytest.raises(ModelError, match="structure_layers has 12; the network has decoder layers 0 to 11"):
        load(str(copy), CPU)


@pytest.mark.parametrize("wrong", [[], 4, [-1], [1.5], ["4"]])
def test_a_card_with_other_layers_is_refused(copy: Path, wrong: object) -> None:
    recommend(copy, structure_layers=wrong)
    with pytest.raises(ModelError, match="structure_layers"):
        load(str(copy), CPU)


def test_a_transformer_has_blocks_instead(joint_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(joint_checkpoint, tmp_path / "copy"))
    recommend(folder, structure_layers=[1])
    backend = load(str(folder), CPU)
    assert [site.layer for site in with_role(backend.sites, Role.STRUCTURE_FEATURES)] == [1]
    assert min(influences(backend, with_role(backend.sites, Role.STRUCTURE_FEATURES)).values()) > 0
    recommend(folder, structure_layers=[99])
    with pytest.raises(ModelError, match="blocks 0 to"):
        load(str(folder), CPU)


def test_the_card_keeps_layers_as_a_fact() -> None:
    card = Card.from_mapping({"structure_layers": [4, 7], "guidance": 2.0}, {})
    assert card.structure_layers == (4, 7) and card.recommended == {"guidance": 2.0}
