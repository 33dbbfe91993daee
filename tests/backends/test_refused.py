"""Checkpoints that are refused, each with a word on what is wrong; pickled weights are not even opened."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def refused(folder: Path, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        StableDiffusion(str(folder), torch.device("cpu"), torch.float32)


def test_pickled_weights_never_run(copy: Path, tmp_path: Path) -> None:
    canary = pickle.dumps(Canary(tmp_path / "sung"))
    (copy / WEIGHTS).unlink()
    (copy / "unet" / "diffusion_pytorch_model.bin").write_bytes(canary)
    refused(copy, "never loaded")
    assert not (tmp_path / "sung").exists()
    pickle.loads(canary)
    assert (tmp_path / "sung").exists()  # it would have sung


def test_damaged_weights(copy: Path) -> None:
    content = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(content[: len(content) // 2])
    refused(copy, "unet cannot be loaded")


@pytest.mark.parametrize(
    ("surplus", "match"), [(False, "missing keys.*conv_in.bias"), (True, "unexpected keys.*extra")]
)
def test_weights_that_do_not_fit(surplus: bool, match: str, copy: Path) -> None:
    weights = load_file(copy / WEIGHTS)
    if surplus:
        weights["extra.weight"] = torch.zeros(1)
    else:
        del weights["conv_in.bias"]
    save_file(weights, copy / WEIGHTS, {"format": "pt"})
    refused(copy, match)


@pytest.mark.parametrize(
    ("part", "changes", "match"),
    [("unet", {"addition_embed_type": "text_time"}, "SDXL"), ("unet", None, "config.json is missing")],
)
def test_another_architecture(part: str, changes: dict[str, str] | None, match: str, copy: Path) -> None:
    path = copy / part / "config.json"
    if changes is None:
        path.unlink()
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    refused(copy, match)
