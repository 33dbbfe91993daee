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
    refused(copy, "unet/.* cannot be loaded")


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
    [
        ("unet", {"addition_embed_type": "text_time"}, "tokenizer_2 has no tokenizer.json"),
        ("unet", {"addition_embed_type": "image"}, "addition_embed_type is 'image'; accepted is"),
        ("unet", None, "config.json is missing"),
    ],
)
def test_another_architecture(part: str, changes: dict[str, str] | None, match: str, copy: Path) -> None:
    path = copy / part / "config.json"
    if changes is None:
        path.unlink()
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    refused(copy, match)


@pytest.mark.parametrize("left", ["", "tokenizer_config.json"])
def test_a_tokenizer_without_its_words(left: str, copy: Path) -> None:
    """The library would make one of two tokens, to which all prompts are the same."""
    for path in (copy / "tokenizer").iterdir():
        if path.name != left:
            path.unlink()
    refused(copy, "tokenizer has no tokenizer.json or vocab.json with merges.txt")


@pytest.mark.parametrize("content", ["{", '{"version": 3}', '{"version": "1.0", "added_tokens": [], "model": {}}'])
def test_a_damaged_tokenizer(content: str, copy: Path) -> None:
    (copy / "tokenizer" / "tokenizer.json").write_text(content)
    refused(copy, "tokenizer cannot be loaded")


def test_a_tokenizer_of_another_model(copy: Path) -> None:
    vocabulary = copy / "tokenizer" / "vocab.json"
    words = json.loads(vocabulary.read_text())
    vocabulary.write_text(json.dumps(words | {f"more{number}": len(words) + number for number in range(9)}))
    (copy / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)
    refused(copy, "do not belong together")


@pytest.mark.parametrize(("given", "match"), [({"guidence": 4.0}, "guidence"), ({"guidance": "high"}, "guidance is")])
def test_a_card_that_recommends_nothing_known(given: dict[str, object], match: str, copy: Path) -> None:
    (copy / "pnpvideo.json").write_text(json.dumps(given))
    refused(copy, match)
