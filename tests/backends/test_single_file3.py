"""Stable Diffusion 3 in a single file: the same as its folder, in every packaging; and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers
from pnpvideo.cli.main import main
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from pnpvideo.backends import derived_configs as derived
from pnpvideo.backends.autoencoder_file import AutoencoderFile
from pnpvideo.backends.checkpoint import check_named, describe, locate_text
from pnpvideo.backends.customized import customized_fingerprint
from pnpvideo.backends.family import Family
from pnpvideo.backends.joint_limits import check_joint_options
from pnpvideo.backends.joint_names import clip_origins, transformer_origins
from pnpvideo.backends.ldm_names import autoencoder_origins
from pnpvideo.backends.load import load
from pnpvideo.backends.packaging import is_joint, packaging
from pnpvideo.backends.single_file import converted_shapes
from pnpvideo.backends.single_file3 import SingleFile3
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.errors import ModelError
from pnpvideo.events import Event, Notice
from pnpvideo.settings.options import Customization, Options
from tests.backends.originals import Tensors, write_single
from tests.backends.originals3 import (
    INNER,
    PARTS,
    VERSIONS,
    by_original_names3,
    new_transformer,
    original3,
    transformer,
    write_folder3,
)
from tests.backends.test_single_file import CPU, drawn, fp16_variant, half_single, shards, single, without

NETWORK = "model.diffusion_model."
T5 = {
    "text_encoders.t5xxl.transformer.shared.weight": torch.ones(3, 4),
    "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight": torch.ones(4, 4),
    "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.scale_weight": torch.ones(()),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder3(tmp_path_factory.mktemp("joint") / "folder")


@pytest.fixture(scope="module")
def tensors(folder: Path) -> Tensors:
    return original3(folder)


@pytest.fixture(scope="module")
def file(tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_single(tmp_path_factory.mktemp("single") / "model.safetensors", tensors)


@pytest.fixture(scope="module")
def from_folder(folder: Path) -> np.ndarray:
    return drawn(folder)


def with_t5(folder: Path, tensors: Tensors, to: Path) -> Path:
    """With T5, which is left out, and a noise schedule; named as what it is not."""
    return write_single(to / "sdxl-lora.ckpt", {**tensors, **T5, "model_sampling.sigmas": torch.ones(9)})


PACKAGINGS: dict[str, Callable[[Path, Tensors, Path], Path]] = {
    "fp16 variant": fp16_variant,
    "shards": shards,
    "single file": single,
    "single file in fp16": half_single,
    "with T5": with_t5,
}


@pytest.mark.parametrize("name", list(PACKAGINGS))
def test_every_packaging_draws_the_same_picture(
    name: str, folder: Path, tensors: Tensors, from_folder: np.ndarray, tmp_path: Path
) -> None:
    assert np.array_equal(drawn(PACKAGINGS[name](folder, tensors, tmp_path)), from_folder)


def same_weights(found: StableDiffusion3, expected: StableDiffusion3) -> bool:
    pairs = [(found.network, expected.network), (found.vae, expected.vae)]
    pairs += [(found.text.encoders[part], expected.text.encoders[part]) for part in expected.text.encoders]
    states = [(ours.state_dict(), theirs.state_dict()) for ours, theirs in pairs]
    return all(
        ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
        for ours, theirs in states
    )


def assert_same_configs(found: Any, expected: Any) -> None:
    """But for what names where a config is from."""
    stated = {name: value for name, value in expected.config.items() if not name.startswith("_")}
    of_file = {name: found.config[name] for name in stated}
    assert json.loads(json.dumps(of_file)) == json.loads(json.dumps(stated))


def test_weights_and_texts_are_those_of_the_folder(folder: Path, file: Path) -> None:
    found, expected = (StableDiffusion3(str(each), torch.device("cpu"), torch.float32) for each in (file, folder))
    assert same_weights(found, expected) and found.text.t5 is None
    for name in ("scaling_factor", "shift_factor", "block_out_channels", "latent_channels", "use_quant_conv"):
        assert found.vae.config[name] == expected.vae.config[name], name
    for text in ("", "a fox", "Ünïcode & <html> 12345 " * 20):
        assert found.embed(text).equals(expected.embed(text))
    assert (found.size, found.prediction, found.sites) == (expected.size, expected.prediction, expected.sites)
    assert found.schedule(7) == expected.schedule(7)


@pytest.mark.parametrize("version", list(VERSIONS))
def test_the_network_of_every_version_is_converted_to_the_bit(version: str, tensors: Tensors, tmp_path: Path) -> None:
    expected, others = new_transformer(version), without(NETWORK)(tensors)
    own = {NETWORK + name: value for name, value in transformer(expected.state_dict()).items()}
    source = packaging(write_single(tmp_path / "model.safetensors", others | own))
    found = source.network(SD3Transformer2DModel, "transformer", torch.float32)
    assert_same_configs(found, expected)
    ours, theirs = found.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("version", list(VERSIONS))
def test_diffusers_own_conversion_agrees(version: str, tmp_path: Path, tensors: Tensors) -> None:
    own = {NETWORK + name: value for name, value in transformer(new_transformer(version).state_dict()).items()}
    source = packaging(write_single(tmp_path / "model.safetensors", without(NETWORK)(tensors) | own))
    found = source.network(SD3Transformer2DModel, "transformer", torch.float32).state_dict()
    expected = convert_sd3_transformer_checkpoint_to_diffusers(own)
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_network_without_its_prefix_is_the_same(file: Path, tensors: Tensors, tmp_path: Path) -> None:
    bare = {name.removeprefix(NETWORK): value for name, value in tensors.items()}
    found, expected = packaging(write_single(tmp_path / "bare.safetensors", bare)), packaging(file)
    assert isinstance(found, SingleFile3) and isinstance(expected, SingleFile3)
    assert found.shapes == expected.shapes and found.config("transformer") == expected.config("transformer")
    found.network(SD3Transformer2DModel, "transformer", torch.float32)


def test_its_autoencoder_is_refused_for_another_family(file: Path) -> None:
    with pytest.raises(ModelError, match="makes latents of 16 channels, and the model takes 4"):
        AutoencoderFile.of(file).fitting({}, 4, Family.SD1.latent_scale)
    assert (Family.SD3.latent_shift, Family.SDXL.latent_shift) == (0.0609, 0.0)


def test_half_precision_is_that_of_the_folder(folder: Path, file: Path) -> None:
    found, expected = (
        packaging(each).network(SD3Transformer2DModel, "transformer", torch.bfloat16).state_dict()
        for each in (file, folder)
    )
    assert all(
        value.dtype == expected[name].dtype and torch.equal(value, expected[name]) for name, value in found.items()
    )
    assert found["proj_out.weight"].dtype == torch.bfloat16


def test_float8_is_read_as_it_is(tensors: Tensors, tmp_path: Path) -> None:
    eight = {
        name: value.to(torch.float8_e4m3fn) if name.startswith(NETWORK) else value for name, value in tensors.items()
    }
    path = write_single(tmp_path / "fp8.safetensors", eight)
    network = packaging(path).network(SD3Transformer2DModel, "transformer", torch.float32)
    assert torch.equal(network.proj_out.weight, eight[f"{NETWORK}final_layer.linear.weight"].float())


def test_a_file_is_described_without_its_weights(file: Path, folder: Path) -> None:
    assert is_joint(file) and describe(str(file)) == describe(str(folder))
    source = packaging(file)
    assert isinstance(source, SingleFile3) and source.text_parts == ("text_encoder", "text_encoder_2")
    assert (source.notice(), source.zeros_for_empty, source.named("vae")) == (None, False, file)
    stated = packaging(folder).config("scheduler")
    assert stated == {**stated, **source.config("scheduler")}
    with pytest.raises(ModelError, match="which has no unet"):
        source.config("unet")
    backend = load(str(file), CPU)
    assert isinstance(backend, StableDiffusion3) and backend.text.fingerprint == backend.fingerprint
    assert customized_fingerprint(file, Customization()) == backend.fingerprint


def test_a_notice_says_that_t5_is_left_out(folder: Path, tensors: Tensors, tmp_path: Path) -> None:
    said: list[Event] = []
    load(str(with_t5(folder, tensors, tmp_path)), CPU, said.append)
    (notice,) = (event for event in said if isinstance(event, Notice))
    assert notice.message.endswith(
        "sdxl-lora.ckpt: T5 is left out: its tokenizer is not in the file; a folder of diffusers has it"
    )
    said.clear()
    load(str(write_single(tmp_path / "sd3.5_large_turbo.safetensors", tensors)), CPU, said.append)
    assert said == []  # --few-step, which its name would propose for another family, is not for this one


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "pix2pix-zero"}, "the method pix2pix-zero steers; use --method"),
        ({"vae": Path("x")}, "other autoencoders go with 1.x, 2.x and XL alone"),
        ({"lora": (("a.safetensors", 1.0),)}, "LoRAs go with 1.x, 2.x and XL alone"),
    ],
)
def test_a_file_tells_what_cannot_be_asked(options: dict[str, Any], match: str, file: Path) -> None:
    with pytest.raises(ModelError, match=match):
        check_joint_options(str(file), Options.from_flat(options))


def test_directions_are_refused(file: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.safetensors is Stable Diffusion 3; edit directions are for"):
        locate_text(str(file))


def lacking(*names: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: value for name, value in tensors.items() if name not in names}


def changed(name: str, value: torch.Tensor) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, NETWORK + name: value}


GET = "get the file|get a file that includes the autoencoder and both CLIP text encoders, such as sd3_medium_incl_clips"
BROKEN: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "no text encoders": (without("text_encoders."), f"has no CLIP-L text encoder; {GET}"),
    "no second text encoder": (without("text_encoders.clip_g."), f"has no CLIP-G text encoder; {GET}"),
    "no autoencoder": (without("first_stage_model."), f"has no autoencoder; {GET}"),
    "half of the autoencoder": (without("first_stage_model.encoder."), "its autoencoder has no encoder.down_blocks"),
    "no first block": (without(f"{NETWORK}joint_blocks.0."), r"its transformer has no joint_blocks\.0"),
    "no last block": (
        without(f"{NETWORK}joint_blocks.2."),
        r"cannot be loaded as a SD3Transformer2DModel: .* size mismatch for transformer_blocks\.1\.norm1_context",
    ),
    "no layer": (
        lacking(f"{NETWORK}joint_blocks.1.x_block.mlp.fc1.weight"),
        r"missing tensors of its SD3Transformer2DModel, 1 in all, such as transformer_blocks\.1\.ff\.net\.0\.proj",
    ),
    "no positions": (lacking(f"{NETWORK}pos_embed"), r"its transformer has no pos_embed\.pos_embed"),
    "positions of no square": (changed("pos_embed", torch.zeros(1, 63, INNER)), "has 63 positions; accepted are those"),
    "surplus": (
        changed("joint_blocks.first.x_block.weight", torch.zeros(2)),
        "unexpected tensors of its SD3Transformer2DModel",
    ),
    "another width": (
        changed("joint_blocks.1.x_block.attn.proj.weight", torch.zeros(7, 7)),
        "cannot be loaded as a SD3Transformer2DModel",
    ),
    "a number": (
        changed("final_layer.adaLN_modulation.1.bias", torch.ones(())),
        r"final_layer\.adaLN_modulation\.1\.bias is a single number",
    ),
    "whole numbers": (
        changed("joint_blocks.1.x_block.mlp.fc1.bias", torch.zeros(4 * INNER, dtype=torch.int8)),
        "is torch.int8; accepted are float32, float16 and bfloat16",
    ),
    "scaled fp8": (
        changed("joint_blocks.1.x_block.mlp.fc1.scale_weight", torch.ones(())),
        r"has scaled weights \(.*scale_weight\); accepted are float32, float16 and bfloat16",
    ),
    "no projection of the text": (
        lacking("text_encoders.clip_g.transformer.text_projection.weight"),
        "missing tensors of its CLIPTextModelWithProjection",
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_file_that_is_no_whole_checkpoint_is_refused(name: str, tensors: Tensors, tmp_path: Path) -> None:
    change, says = BROKEN[name]
    path = write_single(tmp_path / "model.safetensors", change(tensors))
    with pytest.raises(ModelError, match=says) as refused:
        load(str(path), CPU)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("damage", ["truncated", "flipped bit", "the network alone"])
def test_a_damaged_file_is_one_line_and_exit_4(
    damage: str, tensors: Tensors, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_single(tmp_path / "model.safetensors", tensors)
    content, says = bytearray(path.read_bytes()), "cannot be loaded as safetensors"
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped bit":
        content[8] ^= 0x20  # the brace that opens the header
        path.write_bytes(content)
    else:
        write_single(path, without("text_encoders.")(tensors))
        says = "has no CLIP-L text encoder"
    with pytest.raises(ModelError, match=says):
        check_named(str(path))
    for command in (
        ["translate", "samples/cut.mp4", "a fox", "-o", str(tmp_path / "o.mp4")],
        ["plan", "samples/cut.mp4"],
    ):
        assert main([*command, "--model", str(path)]) == 4
        said = capfd.readouterr().err
        assert says in said and len(said.splitlines()) == 1


def test_a_file_is_loaded_and_asked_once_by_doctor(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(file), "--json", "--device", "cpu"]) == 0
    found = {check["name"]: check["found"] for check in json.loads(capsys.readouterr().out)["checks"]}
    assert "128 x 128 pixels, 16 latent channels" in found["model"] and "predicts flow" in found["model"]


def test_a_file_is_planned(file: Path, clip_of: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--size", "32", "--device", "cpu", "--steps", "6", "--json", "-q"]
    assert main(["plan", str(clip_of(1)), "--model", str(file), *small]) == 0
    assert json.loads(capsys.readouterr().out)["evaluations"] == 3 + 3 * 2 + 2


def test_a_file_is_looked_into(file: Path, clip_of: Callable[..., Path], tmp_path: Path) -> None:
    small = ["--size", "32", "--device", "cpu", "--steps", "2", "--progress", "none", "--source-prompt", "a hen"]
    shown = ["--part", "transformer", "-o", str(tmp_path / "sheet.png")]
    assert main(["inspect", "features", str(clip_of(1)), "--model", str(file), *small, *shown]) == 0
    assert (tmp_path / "sheet.png").is_file()


PUBLISHED: dict[str, dict[str, Any]] = {
    "3 medium": {"num_layers": 24, "pos_embed_max_size": 192, "qk_norm": None, "dual_attention_layers": []},
    "3.5 large": {"num_layers": 38, "pos_embed_max_size": 192, "qk_norm": "rms_norm", "dual_attention_layers": []},
    "3.5 medium": {
        "num_layers": 24,
        "pos_embed_max_size": 384,
        "qk_norm": "rms_norm",
        "dual_attention_layers": list(range(13)),
    },
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_published_sizes_have_their_configs(name: str) -> None:
    """Networks of the published sizes without contents, by their original names; a head for each block."""
    stated = PUBLISHED[name] | {
        "sample_size": 128,
        "patch_size": 2,
        "in_channels": 16,
        "out_channels": 16,
        "attention_head_dim": 64,
        "num_attention_heads": PUBLISHED[name]["num_layers"],
        "caption_projection_dim": 64 * PUBLISHED[name]["num_layers"],
        "joint_attention_dim": 4096,
        "pooled_projection_dim": 2048,
    }
    towers = {"text_encoder": (768, 12, "quick_gelu"), "text_encoder_2": (1280, 32, "gelu")}
    with torch.device("meta"):
        parts: dict[str, Any] = {
            "transformer": SD3Transformer2DModel(**stated),
            "vae": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
                latent_channels=16,
                use_quant_conv=False,
                use_post_quant_conv=False,
            ),
        }
        for part, (width, layers, _) in towers.items():
            parts[part] = CLIPTextModelWithProjection(
                CLIPTextConfig(
                    vocab_size=49408,
                    hidden_size=width,
                    intermediate_size=4 * width,
                    num_hidden_layers=layers,
                    num_attention_heads=width // 64,
                    projection_dim=width,
                )
            )
        names = by_original_names3({part: value.state_dict() for part, value in parts.items()})
    shapes = {key: tuple(value.shape) for key, value in names.items()}
    origins = {"transformer": transformer_origins(shapes), "vae": autoencoder_origins(shapes)}
    origins |= {part: clip_origins(shapes, part) for part in towers}
    found = {part: converted_shapes(origins[part], shapes) for part in PARTS}
    for part in PARTS:
        mine = {key: tuple(value.shape) for key, value in parts[part].state_dict().items()}
        if part == "text_encoder":
            del mine["text_projection.weight"]
        assert dict(found[part]) == mine
    config = derived.transformer_config(found["transformer"])
    assert {key: config[key] for key in stated} == stated
    assert config.keys() == stated.keys() | {"_class_name"}
    autoencoder = derived.autoencoder_config(found["vae"])
    assert (autoencoder["block_out_channels"], autoencoder["layers_per_block"]) == ([128, 256, 512, 512], 2)
    assert (autoencoder["use_quant_conv"], autoencoder["mid_block_add_attention"]) == (False, True)
    for part, (width, layers, activation) in towers.items():
        text = derived.text_config(found[part], part == "text_encoder_2")
        assert (text["hidden_size"], text["num_hidden_layers"], text["hidden_act"]) == (width, layers, activation)
        assert text["num_attention_heads"] == width // 64
    assert found["text_encoder_2"]["text_projection.weight"] == (1280, 1280)
