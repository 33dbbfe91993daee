"""Tiny checkpoints of Stable Diffusion 1.x, 2.x and XL with CLIP's vocabulary."""

from pathlib import Path

import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from tests.backends.originals import FAMILIES, Tensors, original, write_folder


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def folders_of_families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoint folders by family; 2.x predicts v. To be copied before they are altered."""
    root = tmp_path_factory.mktemp("families")
    return {
        "1.x": write_folder(root / "first", "1.x"),
        "2.x": write_folder(root / "second", "2.x", prediction="v_prediction"),
        "XL": write_folder(root / "xl", "XL"),
    }


@pytest.fixture(scope="session")
def folder(family: str, folders_of_families: dict[str, Path]) -> Path:
    return folders_of_families[family]


@pytest.fixture(scope="session")
def plain(folder: Path) -> StableDiffusion:
    """The model of ``folder``; its weights must not be changed."""
    return StableDiffusion(str(folder), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def tensors(family: str, folder: Path) -> Tensors:
    """All weights of ``folder`` by the names of the original code."""
    return original(folder, family)
