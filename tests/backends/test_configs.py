"""Configs and files that lie: one line about what is wrong, at once, and nothing else on the terminal."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pnpvideo.cli.main import main
from safetensors.torch import load_file, save_file

from pnpvideo.backends.loading import load_reader
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError
from pnpvideo.measure.judge import Judge, Tower
from pnpvideo.miniature import WEIGHTS
from pnpvideo.words.caption import Captioner
from pnpvideo.words.language_model import LanguageModel

UNET, VAE, WORDS = "unet/config.json", "vae/config.json", "text_encoder/config.json"
SCHEDULER, CARD, LIST = "scheduler/scheduler_config.json", "pnpvideo.json", "tokenizer/tokenizer_config.json"


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """What the command line says of a checkpoint that is refused: one line, exit 4."""
    out = str(folder.parent / "o.safetensors")
    with pytest.raises(ModelError) as error:
        StableDiffusion(str(folder), torch.device("cpu"), torch.float32)
    assert capfd.readouterr() == ("", "")
    arguments = ["direction", "build", "--from", "a", "--to", "b", "-o", out, "-y", "--model", str(folder)]
    if "text_encoder" in str(error.value) or "tokenizer" in str(error.value):
        assert main(arguments) == 4
        assert len(capfd.readouterr().err.splitlines()) == 1
    assert "\n" not in str(error.value)
    return str(error.value)


LIES: list[tuple[str, str, Any]] = [
    (UNET, "sample_size", None),
    (UNET, "sample_size", "64"),
    (UNET, "sample_size", 0),
    (UNET, "sample_size", -64),
    (UNET, "sample_size", 10**9),
    (UNET, "sample_size", [64, 64]),
    (UNET, "sample_size", 64.5),
    (UNET, "sample_size", True),
    (UNET, "block_out_channels", [16, 32, 32, 10**9]),
    (UNET, "block_out_channels", [16, 32, 32, 10**5]),
    (UNET, "block_out_channels", "wide"),
    (UNET, "block_out_channels", None),
    (UNET, "layers_per_block", 10**9),
    (UNET, "layers_per_block", 10**4),
    (UNET, "transformer_layers_per_block", 50_000),
    (UNET, "down_block_types", ["CrossAttnDownBlock2D"] * 50_000),
    (UNET, "down_block_types", ["Nothing"] * 4),
    (UNET, "cross_attention_dim", 10**12),
    (UNET, "cross_attention_dim", [16, 16, 16, 16]),
    (UNET, "norm_num_groups", 0),
    (UNET, "attention_head_dim", 0),
    (UNET, "num_class_embeds", 10**9),
    (UNET, "time_cond_proj_dim", "x"),
    (UNET, "in_channels", 5),
    (UNET, "quantization_config", {"quant_method": "bitsandbytes"}),
    (VAE, "scaling_factor", "x"),
    (VAE, "scaling_factor", None),
    (VAE, "scaling_factor", 0),
    (VAE, "scaling_factor", float("nan")),
    (VAE, "block_out_channels", [4, 8, 8, 10**8]),
    (VAE, "latent_channels", 10**8),
    (VAE, "latent_channels", None),
    (WORDS, "num_hidden_layers", 10**9),
    (WORDS, "num_hidden_layers", 90_000),
    (WORDS, "num_hidden_layers", 2),
    (WORDS, "max_position_embeddings", 10**12),
    (WORDS, "vocab_size", 10**12),
    (WORDS, "vocab_size", "many"),
    (WORDS, "num_labels", 10**9),
    (WORDS, "hidden_size", None),
    (LIST, "model_max_length", "x"),
    (LIST, "model_max_length", 0),
    (SCHEDULER, "beta_start", "x"),
    (SCHEDULER, "beta_start", None),
    (SCHEDULER, "beta_start", -1.0),
    (SCHEDULER, "beta_start", float("nan")),
    (SCHEDULER, "beta_end", float("inf")),
    (SCHEDULER, "beta_end", 2),
    (SCHEDULER, "beta_schedule", ["linear"]),
    (SCHEDULER, "num_train_timesteps", 10**9),
    (SCHEDULER, "num_train_timesteps", 0),
    (SCHEDULER, "num_train_timesteps", None),
    (SCHEDULER, "num_train_timesteps", 1000.5),
    (SCHEDULER, "trained_betas", [0.1, 0.2]),
    (SCHEDULER, "trained_betas", ["x"] * 1000),
    (SCHEDULER, "trained_betas", [0.0] * 1000),
    (SCHEDULER, "trained_betas", 3),
    (SCHEDULER, "steps_offset", -1),
    (SCHEDULER, "steps_offset", "1"),
    (SCHEDULER, "set_alpha_to_one", "false"),
    (SCHEDULER, "rescale_betas_zero_snr", 1),
    (SCHEDULER, "timestep_spacing", 3),
    (SCHEDULER, "prediction_type", "flow"),
    (CARD, "guidance", True),
    (CARD, "guidance", float("nan")),
    (CARD, "guidance", -1),
    (CARD, "feature_until", 1.5),
    (CARD, "inversion_rounds", 10**9),
    (CARD, "inversion_rounds", 1.5),
    (CARD, "negative", 3),
    (CARD, "outside_notice", ["x"]),
]


@pytest.mark.parametrize(("file", "name", "value"), LIES)
def test_a_value_that_cannot_be_is_refused(
    file: str, name: str, value: Any, copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = copy / file
    stated = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**stated, name: value}))
    assert str(copy) in refused(copy, capfd)


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        (UNET, "block_out_channels", [16, 32, 32, 1 << 14]),
        (UNET, "layers_per_block", 10**4),
        (UNET, "num_class_embeds", 10**5),
        (VAE, "block_out_channels", [4, 8, 8, 1 << 14]),
        (WORDS, "num_hidden_layers", 10**4),
        (WORDS, "vocab_size", 10**8),
        (WORDS, "max_position_embeddings", 10**9),
    ],
)
def test_a_network_larger_than_its_weights_is_not_built(
    file: str, name: str, value: Any, copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stated = json.loads((copy / file).read_text())
    (copy / file).write_text(json.dumps({**stated, name: value}))
    assert "config.json states a network that is many times larger than its weights" in refused(copy, capfd)


def test_quantised_weights_are_named(copy: Path) -> None:
    stated = json.loads((copy / UNET).read_text())
    (copy / UNET).write_text(json.dumps({**stated, "quantization_config": {"quant_method": "bitsandbytes"}}))
    with pytest.raises(ModelError, match="states quantised weights"):
        StableDiffusion(str(copy), torch.device("cpu"), torch.float32)


def test_counts_that_no_network_has_are_named(copy: Path) -> None:
    stated = json.loads((copy / WORDS).read_text())
    (copy / WORDS).write_text(json.dumps({**stated, "num_hidden_layers": 10**6}))
    with pytest.raises(ModelError, match="num_hidden_layers is 1000000; accepted are up to"):
        StableDiffusion(str(copy), torch.device("cpu"), torch.float32)


def test_a_network_that_is_far_larger_than_its_weights_is_named(copy: Path) -> None:
    stated = json.loads((copy / UNET).read_text())
    (copy / UNET).write_text(json.dumps({**stated, "block_out_channels": [16, 32, 32, 512]}))
    with pytest.raises(ModelError, match="many times larger than its weights"):
        StableDiffusion(str(copy), torch.device("cpu"), torch.float32)


class Library:
    """What a library sees of a folder: the config that it would obey."""

    @staticmethod
    def from_pretrained(folder: Path, **_: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((folder / "config.json").read_text())
        return found


def test_the_libraries_see_no_names_of_code(tmp_path: Path) -> None:
    code = {"auto_map": {"AutoModel": "code.Model"}, "custom_pipelines": {"x": "y"}, "trust_remote_code": True}
    stated = {"width": 3, **code, "inner": {"deeper": [{"auto_map": {}, "kept": 1}]}}
    (tmp_path / "config.json").write_text(json.dumps(stated))
    assert load_reader(Library, tmp_path) == {"width": 3, "inner": {"deeper": [{"kept": 1}]}}


@pytest.mark.parametrize("steps", [0, "x", None, 10**9])
def test_a_few_step_schedule_that_cannot_be_is_refused(
    steps: Any, copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stated = json.loads((copy / SCHEDULER).read_text())
    changes = {"_class_name": "LCMScheduler", "original_inference_steps": steps}
    (copy / SCHEDULER).write_text(json.dumps(stated | changes))
    assert "original_inference_steps" in refused(copy, capfd)


CONTENTS: dict[str, Callable[[Path], object]] = {
    "deep": lambda path: path.write_text('{"a":' * 2000 + "1" + "}" * 2000),
    "very deep": lambda path: path.write_text("[" * 1_000_000),
    "a hundred levels": lambda path: path.write_text('{"a":' * 100 + "1" + "}" * 100),
    "list": lambda path: path.write_text("[]"),
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_text('{"a": 1'),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "UTF-16": lambda path: path.write_bytes('{"a": 1}'.encode("utf-16")),
    "long number": lambda path: path.write_text('{"a": ' + "1" * 5000 + "}"),
    "large": lambda path: path.write_text('{"a": "' + " " * (17 << 20) + '"}'),
    "folder": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "pipe": lambda path: os.mkfifo(path),
    "nowhere": lambda path: path.symlink_to("nowhere"),
    "itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("content", list(CONTENTS))
@pytest.mark.parametrize("file", [UNET, VAE, WORDS, SCHEDULER, CARD, LIST, "unet/diffusion_pytorch_model.safetensors"])
def test_a_file_that_is_none_is_refused(content: str, file: str, copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (copy / file).unlink(missing_ok=True)
    CONTENTS[content](copy / file)
    assert str(copy) in refused(copy, capfd)


@pytest.mark.parametrize("file", [UNET, SCHEDULER, "unet/diffusion_pytorch_model.safetensors", "unet", "tokenizer"])
def test_what_may_not_be_read_is_refused(file: str, copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (copy / file).chmod(0)
    try:
        if os.access(copy / file, os.R_OK):
            pytest.skip("this user may read everything")
        refused(copy, capfd)
    finally:
        (copy / file).chmod(0o700)


@pytest.fixture(params=["captioner", "judge", "tower"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[str], Any], Path]:
    """(loader, a copy of a model beside the checkpoint)."""
    loaders: dict[str, Callable[[str], Any]] = {"captioner": Captioner, "judge": Judge, "tower": Tower.load}
    name = "captioner" if request.param == "captioner" else "judge"
    return loaders[request.param], Path(shutil.copytree(WEIGHTS / name, tmp_path / "copy"))


@pytest.mark.parametrize("change", ["missing", "surplus", "renamed", "shape"])
def test_weights_that_do_not_fit_are_refused_of_every_model(
    change: str, other: tuple[Callable[[str], Any], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    load, folder = other
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in sorted(weights) if "layers.0" in name and name.endswith("weight"))
    value = weights[name]
    if change != "surplus":
        del weights[name]
    if change in ("surplus", "renamed"):
        weights["another.weight"] = value.clone()
    if change == "shape":
        weights[name] = torch.zeros(2, 3)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError) as error:
        load(str(folder))
    assert str(folder) in str(error.value) and "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"size": {"height": 10**6, "width": 128}}, "height is 1000000; accepted are up to 4096"),
        ({"image_mean": "x"}, "cannot caption a picture"),
        ({"image_mean": [0.5] * 7}, "cannot caption a picture"),
        ({"resample": 99}, "cannot caption a picture"),
    ],
)
def test_a_processor_that_lies_is_refused(changes: dict[str, Any], match: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(WEIGHTS / "captioner", tmp_path / "copy"))
    stated = json.loads((folder / "processor_config.json").read_text())
    stated["image_processor"] |= changes
    (folder / "processor_config.json").write_text(json.dumps(stated))
    with pytest.raises(ModelError, match=match):
        Captioner(str(folder)).captions([np.zeros((32, 32, 3), np.uint8)])


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
def test_unknown_fields_of_added_tokens_print_nothing(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(WEIGHTS / "captioner", tmp_path / "copy"))
    path = folder / name
    stated = json.loads(path.read_text()) if path.exists() else {}
    token = {"content": "[PAD]", "lstrip": False, "normalised": False}
    if name == "tokenizer.json":
        stated["added_tokens"][0]["normalised"] = False
    elif name == "tokenizer_config.json":
        stated["added_tokens_decoder"] = {"0": token}
    else:
        stated["pad_token"] = token
    path.write_text(json.dumps(stated))
    with contextlib.suppress(ModelError):
        Captioner(str(folder))
    assert capfd.readouterr() == ("", "")


def test_a_language_model_that_lacks_weights_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=4, n_embd=8, n_layer=2, n_head=1, n_positions=16)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    config.n_layer = 3
    config.save_pretrained(tmp_path)
    capfd.readouterr()
    with pytest.raises(ModelError, match=r"missing keys, 12 in all, such as transformer\.h\.2"):
        LanguageModel(str(tmp_path), torch.device("cpu"))
    assert capfd.readouterr() == ("", "")


def test_a_buffer_that_nothing_reads_may_be_there(copy: Path) -> None:
    path = copy / "text_encoder" / "model.safetensors"
    weights = load_file(path)
    prefix = next(name for name in weights if name.endswith("position_embedding.weight")).split("position_")[0]
    weights[f"{prefix}position_ids"] = torch.arange(20)[None]
    save_file(weights, path, {"format": "pt"})
    StableDiffusion(str(copy), torch.device("cpu"), torch.float32)


def test_a_config_cannot_drive_the_terminal(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (copy / CARD).write_text(json.dumps({"outside_notice": "red \x1b[31m"}))
    assert StableDiffusion(str(copy), torch.device("cpu"), torch.float32).card.outside_notice == "red \\x1b[31m"
    (copy / WORDS).write_text(json.dumps({**json.loads((copy / WORDS).read_text()), "hidden_act": "\x1b[31m"}))
    arguments = ["direction", "build", "--from", "a", "--to", "b", "-o", str(copy / "o.safetensors")]
    assert main([*arguments, "--model", str(copy)]) == 4
    assert "\x1b" not in capfd.readouterr().err
