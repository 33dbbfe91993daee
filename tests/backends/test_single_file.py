"""One checkpoint in every packaging: folder, variant, shards, single files of both families; and what is refused."""

import json
import pickle
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from pnpvideo.cli.main import main
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

import pnpvideo
from benchmarks.topology import TOPOLOGIES
from pnpvideo.backends.checkpoint import TEXT_PARTS, check_named, describe
from pnpvideo.backends.clip_tokenizer import clip_tokenizer
from pnpvideo.backends.customized import customized_fingerprint
from pnpvideo.backends.derived_configs import autoencoder_config, network_config, text_config
from pnpvideo.backends.family import Family
from pnpvideo.backends.fingerprint import fingerprint
from pnpvideo.backends.identify import CONVERSION
from pnpvideo.backends.ldm_names import autoencoder_origins, network_origins, text_origins
from pnpvideo.backends.load import load
from pnpvideo.backends.packaging import CheckpointFolder, packaging
from pnpvideo.backends.single_file import SingleFile, converted_shapes
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError
from pnpvideo.events import Event, Notice
from pnpvideo.settings.options import Customization, Runtime
from tests.backends.originals import FAMILIES, Tensors, by_original_names, original, weights, write_folder, write_single


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


KNOWN = dict(zip(FAMILIES, (Family.SD1, Family.SD2, Family.SDXL), strict=True))
CPU = Runtime(device="cpu", dtype="float32")


def parts_of(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/*.safetensors"))


def fp16_variant(folder: Path, tensors: Tensors, to: Path) -> Path:
    copy = Path(shutil.copytree(folder, to / "variant"))
    for part in parts_of(copy):
        (path,) = (copy / part).glob("*.safetensors")
        halves = {name: value.half() for name, value in weights(copy, part).items()}
        path.unlink()
        save_file(halves, path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")), {"format": "pt"})
    return copy


def shards(folder: Path, tensors: Tensors, to: Path) -> Path:
    copy = Path(shutil.copytree(folder, to / "shards"))
    for part in parts_of(copy):
        (path,) = (copy / part).glob("*.safetensors")
        own = list(weights(copy, part).items())
        path.unlink()
        table: dict[str, str] = {}
        for number in (1, 2, 3):
            shard = f"{path.stem}-0000{number}-of-00003.safetensors"
            mine = dict(own[number - 1 :: 3])
            save_file(mine, path.with_name(shard), {"format": "pt"})
            table |= dict.fromkeys(mine, shard)
        path.with_name(f"{path.name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return copy


def single(folder: Path, tensors: Tensors, to: Path) -> Path:
    return write_single(to / "model.safetensors", tensors)


def half_single(folder: Path, tensors: Tensors, to: Path) -> Path:
    halves = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    return write_single(to / "half.safetensors", halves)


def training_state(folder: Path, tensors: Tensors, to: Path) -> Path:
    """As a training saves it: with averages of the weights, the noise schedule and a loss; named as what it is not."""
    surplus = {
        "model_ema.diffusion_modelinput_blocks00weight": torch.ones(3),
        "model_ema.decay": torch.ones(()),
        "alphas_cumprod": torch.ones(1000),
        "first_stage_model.loss.logvar": torch.ones(()),
        "cond_stage_model.logit_scale": torch.ones(()),
    }
    return write_single(to / "sdxl-lora.ckpt", tensors | surplus)


def averaged(folder: Path, tensors: Tensors, to: Path) -> Path:
    """With the averages of the UNet's weights alone, by the names that the original code gives them."""
    start = "model.diffusion_model."
    names = {
        name: f"model_ema.diffusion_model{name.removeprefix(start).replace('.', '')}"
        if name.startswith(start)
        else name
        for name in tensors
    }
    counts = {"model_ema.decay": torch.ones(()), "model_ema.num_updates": torch.ones((), dtype=torch.int32)}
    return write_single(to / "ema.safetensors", {names[name]: value for name, value in tensors.items()} | counts)


PACKAGINGS: dict[str, Callable[[Path, Tensors, Path], Path]] = {
    "fp16 variant": fp16_variant,
    "shards": shards,
    "single file": single,
    "single file in fp16": half_single,
    "training state": training_state,
    "averages alone": averaged,
}


def drawn(model: Path) -> np.ndarray:
    """One picture through the engine."""
    translator = pnpvideo.load(model, device="cpu", dtype="float32")
    frames = np.full((1, 64, 64, 3), 150, np.uint8)
    frames[:, 10:30, 20:40] = (220, 60, 50)
    sampling = pnpvideo.Sampling(steps=2, size=64)
    prompts = pnpvideo.Prompts(source_prompt="a red square, photographed", negative="blurry")
    return translator.translate_frames(frames, "an Oil-painting of a fox", prompts=prompts, sampling=sampling)


@pytest.fixture(scope="session")
def from_folder(folder: Path) -> np.ndarray:
    return drawn(folder)


@pytest.mark.parametrize("name", list(PACKAGINGS))
def test_every_packaging_draws_the_same_picture(
    name: str, folder: Path, tensors: Tensors, from_folder: np.ndarray, tmp_path: Path
) -> None:
    assert np.array_equal(drawn(PACKAGINGS[name](folder, tensors, tmp_path)), from_folder)


@pytest.fixture(scope="module")
def converted(folder: Path, tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    """The model of ``folder``, from a single file."""
    path = single(folder, tensors, tmp_path_factory.mktemp("single"))
    return StableDiffusion(str(path), torch.device("cpu"), torch.float32)


def test_weights_are_the_same_to_the_bit(plain: StableDiffusion, converted: StableDiffusion) -> None:
    expected, found = plain, converted
    for ours, theirs in ((found.network, expected.network), (found.vae, expected.vae)):
        assert {**ours.state_dict()}.keys() == {**theirs.state_dict()}.keys()
        assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())
    for text in ("", "a fox", "Ünïcode & <html> 12345 " * 20):
        assert found.embed(text).equals(expected.embed(text))
    assert (found.size, found.prediction) == (expected.size, expected.prediction)
    assert found.vae.config.scaling_factor == expected.vae.config.scaling_factor
    assert found.schedule(7) == expected.schedule(7)


def test_weights_lie_where_torch_aligns_them(plain: StableDiffusion, converted: StableDiffusion) -> None:
    """As in a file, where tensors follow each other: some processors would round otherwise."""
    for backend in (plain, converted):
        networks = (backend.network, backend.vae, *backend.text.encoders.values())
        assert not [name for each in networks for name, value in each.named_parameters() if value.data_ptr() % 64]


def test_plain_sampling_equals_diffusers(folder: Path, family: str, converted: StableDiffusion) -> None:
    """The same weights, scheduler and noise; guidance by hand as in arXiv 2207.12598."""
    backend = converted
    kind = StableDiffusionXLPipeline if family == "XL" else StableDiffusionPipeline
    pipeline = kind.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config({**backend.scheduler_config})
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = pipeline(
        "a fox", latents=noise, num_inference_steps=4, guidance_scale=5.0, height=64, width=64, output_type="latent"
    ).images
    schedule = backend.schedule(4)
    steps = DDIMScheduler.from_config({**backend.scheduler_config})
    steps.set_timesteps(4)
    assert [int(timestep) for timestep in steps.timesteps] == [int(t) for t in reversed(schedule.timesteps)]
    x = noise
    with torch.no_grad():
        for timestep in steps.timesteps:
            texts = (backend.embed(text).batch() for text in ("", "a fox"))
            empty, positive = (backend.predict(x, int(timestep), text) for text in texts)
            x = steps.step(empty + 5.0 * (positive - empty), timestep, x).prev_sample
    assert float((x - expected).abs().max()) < 1e-3  # the pipeline predicts both texts in one batch, rounded otherwise


COMPARED = (
    *("block_out_channels", "layers_per_block", "cross_attention_dim", "addition_embed_type"),
    *("hidden_size", "hidden_act"),
)


def test_configs_follow_from_shapes(family: str, folder: Path, tensors: Tensors) -> None:
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    found = {
        "unet": network_config(converted_shapes(network_origins(shapes), shapes), KNOWN[family], "epsilon"),
        "vae": autoencoder_config(converted_shapes(autoencoder_origins(shapes), shapes)),
    }
    for part in KNOWN[family].text_parts:
        open_clip = family == "2.x" or part == "text_encoder_2"
        found[part] = text_config(converted_shapes(text_origins(shapes, part), shapes), open_clip)
    for part, config in found.items():
        stated = json.loads((folder / part / "config.json").read_text())
        for name in COMPARED:
            assert config.get(name) == stated.get(name), name
    assert found["text_encoder"]["num_hidden_layers"] == 2


def test_the_vocabulary_is_clips() -> None:
    tokenizer = clip_tokenizer()
    assert len(tokenizer) == 49408 and tokenizer.model_max_length == 77 and tokenizer.pad_token_id == 49407
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]  # as OpenAI's CLIP
    assert clip_tokenizer("!").pad_token_id == 0


def test_what_a_file_says_it_predicts_counts(tensors: Tensors, family: str, tmp_path: Path) -> None:
    stated = {"v": "v_prediction", "epsilon": "epsilon"}
    for value, prediction in stated.items():
        path = write_single(tmp_path / f"{value}.safetensors", tensors, {"modelspec.prediction_type": value})
        assert SingleFile.of(path).prediction == describe(str(path)).prediction == prediction
        cells = {"1.x": 64, "2.x": 96 if value == "v" else 64, "XL": 128}[family]
        assert packaging(path).config("unet")["sample_size"] == cells  # of 1.x, models that predict v are for 512 too
    steps = write_single(tmp_path / "base.safetensors", tensors | {"global_step": torch.tensor(875000)})
    assert SingleFile.of(steps).prediction == "epsilon"
    marked = write_single(tmp_path / "marked.safetensors", tensors | {"v_pred": torch.ones(0), "ztsnr": torch.ones(0)})
    assert packaging(marked).config("scheduler")["prediction_type"] == "v_prediction"
    assert packaging(marked).config("scheduler")["rescale_betas_zero_snr"] is True


def test_a_guess_is_said_and_can_be_corrected(folders_of_families: dict[str, Path], tmp_path: Path) -> None:
    path = write_single(tmp_path / "second.safetensors", original(folders_of_families["2.x"], "2.x"))
    said: list[Event] = []
    backend = load(str(path), CPU, said.append)
    (notice,) = (event for event in said if isinstance(event, Notice))
    assert "does not say what its network predicts" in notice.message and "--prediction epsilon" in notice.message
    said.clear()
    other = load(str(path), CPU, said.append, Customization(prediction="epsilon"))
    assert said == [] and (backend.size, other.size) == (768, 512)
    assert backend.fingerprint != other.fingerprint and other.prediction == "epsilon"
    assert describe(str(path), prediction="epsilon").size == 512
    folder = CheckpointFolder(folders_of_families["2.x"], prediction="epsilon")
    assert folder.config("scheduler")["prediction_type"] == "epsilon"


def test_the_name_of_a_file_makes_no_difference(converted: StableDiffusion, tensors: Tensors, tmp_path: Path) -> None:
    path = write_single(tmp_path / "another name", tensors)
    assert customized_fingerprint(path, Customization()) == converted.fingerprint
    assert fingerprint(path, TEXT_PARTS) == converted.text.fingerprint


def without(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: value for name, value in tensors.items() if not name.startswith(prefix)}


INPUT = "model.diffusion_model.input_blocks.0.0.weight"
BROKEN: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "inpainting": (lambda tensors: {**tensors, INPUT: torch.zeros(32, 9, 3, 3)}, "is an inpainting checkpoint"),
    "refiner": (
        lambda tensors: {**tensors, "model.diffusion_model.label_emb.0.0.weight": torch.zeros(4, 4)},
        "is the refiner of Stable Diffusion XL, which cannot draw by itself; accepted",
    ),
    "no autoencoder": (without("first_stage_model."), "has no autoencoder, .*--vae"),
    "no text encoder": (without("cond_stage_model."), "has no text encoder"),
    "no middle": (without("model.diffusion_model.middle_block."), "missing tensors of its UNet2DConditionModel, .*mid"),
    "no blocks": (without("model.diffusion_model.input_blocks.1."), "its UNet has no down_blocks"),
    "surplus": (
        lambda tensors: {**tensors, "model.diffusion_model.middle_block.9.weight": torch.zeros(2)},
        "unexpected tensors of its UNet2DConditionModel",
    ),
    "another width": (
        lambda tensors: {**tensors, "model.diffusion_model.out.0.weight": torch.zeros(7)},
        "cannot be loaded as a UNet2DConditionModel",
    ),
    "whole numbers": (
        lambda tensors: {**tensors, "model.diffusion_model.out.0.weight": torch.zeros(32, dtype=torch.int8)},
        "is torch.int8; accepted are float32, float16 and bfloat16",
    ),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_file_that_is_no_whole_checkpoint_is_refused(
    name: str, folders_of_families: dict[str, Path], tmp_path: Path
) -> None:
    change, says = BROKEN[name]
    path = write_single(tmp_path / "model.safetensors", change(original(folders_of_families["1.x"], "1.x")))
    with pytest.raises(ModelError, match=says) as refused:
        StableDiffusion(str(path), torch.device("cpu"), torch.float32)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("damage", ["truncated", "flipped bit", "huge header"])
def test_a_damaged_file_is_one_line_and_exit_4(
    damage: str, tensors: Tensors, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_single(tmp_path / "model.safetensors", tensors)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped bit":
        content[8] ^= 0x20  # the brace that opens the header
    else:
        content[:8] = (1 << 60).to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot be loaded as safetensors"):
        check_named(str(path))
    arguments = ["direction", "build", "--from", "a", "--to", "b", "-o", str(tmp_path / "o.safetensors")]
    assert main([*arguments, "--model", str(path)]) == 4
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--model", "--vae", "--lora"])
@pytest.mark.parametrize("name", ["model.ckpt", "model.safetensors"])
def test_a_pickle_never_runs(option: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    canary = pickle.dumps(Canary(tmp_path / "sung"))
    (tmp_path / name).write_bytes(canary)
    arguments = ["translate", "samples/cut.mp4", "a fox", "-o", str(tmp_path / "o.mp4"), option, str(tmp_path / name)]
    assert main(arguments) == 4
    said = capfd.readouterr().err
    assert "is pickled weights, which are never opened" in said and len(said.splitlines()) == 1
    assert not (tmp_path / "sung").exists()
    pickle.loads(canary)
    assert (tmp_path / "sung").exists()  # it would have sung


def test_the_line_that_converts_a_pickle_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {"model.diffusion_model.out.0.weight": torch.ones(3, 2).T, "alphas_cumprod": torch.ones(4)}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "IN.ckpt")
    command = shlex.split(CONVERSION)
    assert command[:2] == ["python", "-c"]
    monkeypatch.chdir(tmp_path)
    exec(command[2], {})
    converted = load_file(tmp_path / "OUT.safetensors")
    assert all(torch.equal(converted[name], value) for name, value in tensors.items())


REAL: dict[str, tuple[dict[str, Any], int, str]] = {
    "sd15": ({"attention_head_dim": 8, "cross_attention_dim": 768, "sample_size": 64}, 12, "quick_gelu"),
    "sd21": ({"attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024, "sample_size": 96}, 23, "gelu"),
}


@pytest.mark.parametrize("name", list(REAL))
def test_the_published_sizes_have_their_configs(name: str) -> None:
    """Networks of the published widths without contents, as in benchmarks.topology, by their original names."""
    topology, (network, layers, activation) = TOPOLOGIES[name], REAL[name]
    (tower,) = topology.towers
    width, heads = tower.channels, tower.heads
    with torch.device("meta"):
        parts: tuple[Any, ...] = (
            UNet2DConditionModel(
                block_out_channels=(320, 640, 1280, 1280),
                cross_attention_dim=width,
                attention_head_dim=topology.heads,
                use_linear_projection=topology.linear,
            ),
            AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
            ),
            CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=49408,
                    hidden_size=width,
                    intermediate_size=4 * width,
                    num_hidden_layers=layers,
                    num_attention_heads=heads,
                    bos_token_id=49406,
                    eos_token_id=49407,
                )
            ),
        )
    family = Family.SD2 if topology.linear else Family.SD1
    states = dict(zip(("unet", "vae", "text_encoder"), (part.state_dict() for part in parts), strict=True))
    names = by_original_names(states, "2.x" if topology.linear else "1.x")
    shapes = {key: tuple(value.shape) for key, value in names.items()}
    second = topology.linear
    found = network_config(converted_shapes(network_origins(shapes), shapes), family, topology.prediction)
    assert {key: found[key] for key in network} == network
    assert found["use_linear_projection"] == topology.linear
    assert found["block_out_channels"] == [320, 640, 1280, 1280] and found["layers_per_block"] == 2
    autoencoder = autoencoder_config(converted_shapes(autoencoder_origins(shapes), shapes))
    assert autoencoder["block_out_channels"] == [128, 256, 512, 512] and autoencoder["mid_block_add_attention"]
    text = text_config(converted_shapes(text_origins(shapes), shapes), second)
    assert (text["num_hidden_layers"], text["hidden_act"], text["num_attention_heads"]) == (layers, activation, heads)
    for part, origins in zip(parts, (network_origins, autoencoder_origins, text_origins), strict=True):
        mine = {key.removeprefix("text_model."): tuple(value.shape) for key, value in part.state_dict().items()}
        assert dict(converted_shapes(origins(shapes), shapes)) == mine


def test_a_direction_is_built_from_a_single_file(folders_of_families: dict[str, Path], tmp_path: Path) -> None:
    path = write_single(tmp_path / "model.safetensors", original(folders_of_families["2.x"], "2.x"))
    arguments = ["direction", "build", "--from", "cat", "--to", "dog", "-o", str(tmp_path / "o.safetensors"), "--quiet"]
    assert main([*arguments, "--model", str(path)]) == 0
    assert (tmp_path / "o.safetensors").is_file()


def test_a_card_beside_a_single_file_recommends(tmp_path: Path) -> None:
    whole = original(write_folder(tmp_path / "folder", "1.x"), "1.x")
    path = write_single(tmp_path / "toon.safetensors", whole)
    assert "guidance" not in describe(str(path)).card.recommended
    card = tmp_path / "toon.pnpvideo.json"
    card.write_text('{"guidance": 4.5, "negative": "blurry"}')
    assert describe(str(path)).card.recommended == {"guidance": 4.5, "negative": "blurry"}
    assert load(str(path), CPU).card.recommended["guidance"] == 4.5
    card.write_text('{"guidance": "much"}')
    with pytest.raises(ModelError, match=r"toon\.pnpvideo\.json: guidance"):
        describe(str(path))
