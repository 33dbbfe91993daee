"""Stable Diffusion XL: what its network is told, where methods act in it, and what is refused."""

import json
import pickle
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from pnpvideo.cli.main import main
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import pnpvideo
from pnpvideo.backends.checkpoint import check_named, describe, locate_text
from pnpvideo.backends.family import Family, spoken_family
from pnpvideo.backends.footprint import of_network
from pnpvideo.backends.identify import Kind, identify
from pnpvideo.backends.parts import parts_of_pipeline
from pnpvideo.backends.prompt_tokenizer import PromptTokenizer
from pnpvideo.backends.quiet import quiet_libraries
from pnpvideo.backends.single_file import SingleFile
from pnpvideo.backends.sites import sites_of
from pnpvideo.backends.size_conditioning import added_conditions
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.text import load_text
from pnpvideo.errors import ModelError
from pnpvideo.injection import Kind as SiteKind
from pnpvideo.injection import Role, select, with_role
from tests.backends.originals import by_original_names
from tests.conftest import LENGTH, POOLED, WIDTH

CPU = torch.device("cpu")


@pytest.fixture
def copy(xl_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(xl_checkpoint, tmp_path / "copy"))


def test_the_network_is_told_both_texts_and_the_size(xl_backend: StableDiffusion, xl_checkpoint: Path) -> None:
    """By transformers' classes, of a wide picture: penultimate states side by side, the second's projection, sizes."""
    first = CLIPTextModel.from_pretrained(xl_checkpoint / "text_encoder", local_files_only=True)
    second = CLIPTextModelWithProjection.from_pretrained(xl_checkpoint / "text_encoder_2", local_files_only=True)
    found = xl_backend.embed("a fox")
    tokens = xl_backend.text.tokenizer(["a fox"], padding="max_length", return_tensors="pt").input_ids
    x = torch.randn((2, 4, 3, 5), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, two = (each(tokens, output_hidden_states=True) for each in (first, second))
        states = torch.cat((one.hidden_states[-2], two.hidden_states[-2]), 2)
        sizes = torch.tensor([[24, 40, 0, 0, 24, 40]] * 2)
        added = {"text_embeds": two.text_embeds.expand(2, -1), "time_ids": sizes}
        expected = xl_backend.network(x, 500, states.expand(2, -1, -1), added_cond_kwargs=added).sample
        moved = xl_backend.network(x, 500, states.expand(2, -1, -1), added_cond_kwargs={**added, "time_ids": 0 * sizes})
    assert found.tokens.shape == (LENGTH, 2 * WIDTH + 8) and found.pooled is not None
    assert torch.equal(found.tokens, states[0]) and torch.equal(found.pooled, two.text_embeds[0])
    assert torch.allclose(xl_backend.predict(x, 500, found.batch(2)), expected, atol=1e-5)
    assert not torch.allclose(moved.sample, expected, atol=1e-3)
    assert added_conditions(None, 8, 8) is None
    assert (xl_backend.text.width, xl_backend.text.pooled_width) == (2 * WIDTH + 8, POOLED)


def test_the_autoencoder_stays_in_fp32(xl_checkpoint: Path) -> None:
    """In half precision that of SDXL overflows; its scale is its own."""
    half = StableDiffusion(str(xl_checkpoint), CPU, torch.bfloat16)
    assert half.network.dtype == torch.bfloat16 and half.vae.dtype == torch.float32
    assert {each.dtype for each in half.text.encoders.values()} == {torch.float32}
    pixels = np.random.default_rng(0).integers(0, 255, (1, 16, 16, 3), np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        assert torch.allclose(half.encode(pixels), 0.13025 * half.vae.encode(x).latent_dist.mode())
    assert half.predict(half.encode(pixels), 500, half.embed("a fox").batch()).dtype == torch.float32


@pytest.mark.parametrize("stated", [None, True, False])
def test_an_empty_prompt_is_zeros_unless_the_checkpoint_says_otherwise(stated: bool | None, copy: Path) -> None:
    if stated is not None:
        (copy / "model_index.json").write_text(json.dumps({"force_zeros_for_empty_prompt": stated}))
    backend = StableDiffusion(str(copy), CPU, torch.float32)
    empty, read = backend.embed(""), backend.text.embeds([""])[0]
    assert empty.equals(read if stated is False else read.zeros()) and bool(read.tokens.any())


def test_texts_alone_are_found_and_read(xl_checkpoint: Path, xl_backend: StableDiffusion, copy: Path) -> None:
    shutil.rmtree(copy / "unet")  # as where a hub's text encoders were fetched alone
    for folder in (xl_checkpoint, copy):
        text = load_text(locate_text(str(folder)), CPU)
        assert isinstance(text, PromptTokenizer) and text.embeds(["a fox"])[0].equals(xl_backend.embed("a fox"))
    assert text.fingerprint == xl_backend.text.fingerprint
    assert text.positions("a fox", "fox") == (2, 3, 4) and text.end("a fox") == 5
    shutil.rmtree(copy / "text_encoder_2")
    (copy / "model_index.json").write_text('{"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}')
    with pytest.raises(ModelError, match=r"text_encoder_2/config\.json is missing"):
        locate_text(str(copy))


def test_a_pipeline_of_diffusers_is_the_model(xl_backend: StableDiffusion, xl_checkpoint: Path) -> None:
    encoders = deepcopy(dict(xl_backend.text.encoders))
    pipeline = StableDiffusionXLPipeline(
        vae=deepcopy(xl_backend.vae),
        **encoders,
        tokenizer=xl_backend.text.tokenizer,
        tokenizer_2=xl_backend.text.tokenizer,
        unet=deepcopy(xl_backend.network),
        scheduler=EulerDiscreteScheduler.from_config(xl_backend.scheduler_config),
        add_watermarker=False,
    )
    processors = dict(pipeline.unet.attn_processors)
    frames = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8)
    prompts, sampling = pnpvideo.Prompts(source_prompt="", negative="a hen"), pnpvideo.Sampling(steps=2, size=32)
    chosen: Any = {"prompts": prompts, "sampling": sampling}
    found = pnpvideo.load(pipeline).translate_frames(frames, "a fox", **chosen)
    own = pnpvideo.load(xl_checkpoint, device="cpu").translate_frames(frames, "a fox", **chosen)
    assert np.array_equal(found, own)
    assert all(pipeline.unet.attn_processors[name] is processor for name, processor in processors.items())
    before = parts_of_pipeline(pipeline)
    with torch.no_grad():
        next(pipeline.text_encoder_2.parameters()).add_(1.0)
    after = parts_of_pipeline(pipeline)
    assert before.fingerprint != after.fingerprint and before.text.fingerprint != after.text.fingerprint
    pipeline.text_encoder_2 = None
    with pytest.raises(ModelError, match=r"text_encoder_2 is NoneType; accepted is .*StableDiffusionXLPipeline"):
        pnpvideo.load(pipeline)


def test_structure_has_the_same_place_in_both_topologies(backend: StableDiffusion, xl_backend: StableDiffusion) -> None:
    """The second layer of the decoder's first block with attention, and all self-attention from there on."""
    for model, block, count in ((backend, 1, 8), (xl_backend, 0, 7)):
        (features,) = with_role(model.sites, Role.STRUCTURE_FEATURES)
        attention = with_role(model.sites, Role.STRUCTURE_ATTENTION)
        assert features.name == f"up_blocks.{block}.resnets.1.conv2"
        assert attention[0].name == f"up_blocks.{block}.attentions.1.transformer_blocks.0.attn1"
        assert len(attention) == count and all(site.part == "decoder" for site in attention)


def test_a_turbo_checkpoint_is_known_by_its_scheduler_and_size(copy: Path) -> None:
    path = copy / "scheduler" / "scheduler_config.json"
    stated = {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **stated}))
    found = describe(str(copy))
    assert (found.few_step, found.size) == (True, 64) and found.card.recommended["guidance"] == 1.0


def config(part: str, **stated: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / part / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **stated}))

    return change


def network(**shapes: tuple[int, ...]) -> Callable[[Path], None]:
    """Other weights for the UNet, by names with "__" for dots."""
    usual = {"conv_in.weight": (8, 4, 3, 3), "up_blocks.0.a": (1,), "down_blocks.0.a": (1,), "time_embedding.a": (1,)}

    def change(folder: Path) -> None:
        named = {name.replace("__", "."): shape for name, shape in shapes.items()}
        tensors = {name: torch.zeros(shape) for name, shape in (usual | named).items()}
        save_file(tensors, folder / "unet" / "diffusion_pytorch_model.safetensors")

    return change


def refiner(folder: Path) -> None:
    network(add_embedding__linear_1__weight=(8, 8), down_blocks__3__a=(1,))(folder)
    shutil.rmtree(folder / "text_encoder")


def truncated(folder: Path) -> None:
    path = folder / "text_encoder_2" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def without_projection(folder: Path) -> None:
    path = folder / "text_encoder_2" / "model.safetensors"
    tensors = {name: value for name, value in load_file(path).items() if name != "text_projection.weight"}
    save_file(tensors, path, {"format": "pt"})


def other_vocabulary(folder: Path) -> None:
    path = folder / "tokenizer_2" / "vocab.json"
    words = json.loads(path.read_text())
    words["a"], words["b"] = words["b"], words["a"]
    path.write_text(json.dumps(words))
    (folder / "tokenizer_2" / "tokenizer.json").unlink(missing_ok=True)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "refiner": (refiner, "is the refiner of Stable Diffusion XL, which cannot draw by itself; accepted"),
    "inpainting": (network(conv_in__weight=(8, 9, 3, 3), conv_out__weight=(4, 8, 3, 3)), "is an inpainting checkpoint"),
    "another text": (config("unet", addition_embed_type="image"), "addition_embed_type is 'image'; accepted"),
    "no second text": (lambda folder: shutil.rmtree(folder / "text_encoder_2"), "config.json is missing"),
    "no second tokenizer": (lambda folder: shutil.rmtree(folder / "tokenizer_2"), "tokenizer_2 has no tokenizer.json"),
    "other vocabulary": (other_vocabulary, "the two tokenizers have different vocabularies"),
    "truncated": (truncated, "text_encoder_2/model.safetensors cannot be loaded"),
    "no projection": (without_projection, "text_encoder_2: missing keys, 1 in all, such as text_projection.weight"),
    "shifted latents": (config("vae", latents_mean=[0.0] * 4), "latents_mean is stated"),
    "not a flag": (
        lambda folder: (folder / "model_index.json").write_text('{"force_zeros_for_empty_prompt": "yes"}'),
        "force_zeros_for_empty_prompt is 'yes'; accepted: true, false",
    ),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_what_is_no_whole_base_checkpoint_is_one_line_and_exit_4(
    name: str, copy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change, says = WRONG[name]
    change(copy)
    arguments = ["translate", "samples/cut.mp4", "a fox", "-o", str(tmp_path / "o.mp4"), "--size", "32", "--quiet"]
    assert main([*arguments, "--model", str(copy), "--source-prompt", "", "--device", "cpu"]) == 4
    said = capfd.readouterr().err
    assert says in said and len(said.splitlines()) == 1 and not (tmp_path / "o.mp4").exists()


def text_of_width(folder: Path, part: str, width: int, pooled: int) -> None:
    """Another text encoder in place of one."""
    stated = CLIPTextConfig(
        vocab_size=514,
        hidden_size=width,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        projection_dim=pooled,
        bos_token_id=512,
        eos_token_id=513,
    )
    shutil.rmtree(folder / part)
    (CLIPTextModelWithProjection if part == "text_encoder_2" else CLIPTextModel)(stated).save_pretrained(folder / part)


@pytest.mark.parametrize(
    ("width", "pooled", "says"),
    [
        (WIDTH, POOLED, rf"reads text of width {2 * WIDTH + 8}, the text encoder writes {2 * WIDTH}"),
        (WIDTH + 8, POOLED + 2, f"reads {POOLED + 48} numbers besides the text's tokens; .* reads {POOLED + 2} of"),
    ],
)
def test_text_encoders_of_another_width_are_refused(width: int, pooled: int, says: str, copy: Path) -> None:
    text_of_width(copy, "text_encoder_2", width, pooled)
    with pytest.raises(ModelError, match=says):
        StableDiffusion(str(copy), CPU, torch.float32)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("part", ["text_encoder_2", "tokenizer_2"])
def test_pickles_beside_the_second_text_encoder_never_run(part: str, copy: Path, tmp_path: Path) -> None:
    canary = pickle.dumps(Canary(tmp_path / "sung"))
    for name in ("pytorch_model.bin", "model.pt", "tokenizer.pkl", "vocab.pkl", "model.ckpt"):
        (copy / part / name).write_bytes(canary)
    StableDiffusion(str(copy), CPU, torch.float32)
    for path in (copy / part).iterdir():
        if path.suffix in (".safetensors", ".json", ".txt") and path.name != "config.json":
            path.unlink()
    with pytest.raises(ModelError, match="never loaded" if part == "text_encoder_2" else r"has no tokenizer\.json"):
        StableDiffusion(str(copy), CPU, torch.float32)
    assert not (tmp_path / "sung").exists()
    pickle.loads(canary)
    assert (tmp_path / "sung").exists()  # it would have sung


XL: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
    "up_block_types": ("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
}


@pytest.fixture(scope="module")
def full_size() -> dict[str, Any]:
    """Networks of the published sizes, without contents."""
    texts: dict[str, dict[str, Any]] = {
        "text_encoder": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
        "text_encoder_2": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20},
    }
    usual = {"vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407}
    configs = {
        part: CLIPTextConfig(**usual, **sizes, intermediate_size=4 * sizes["hidden_size"], projection_dim=1280)
        for part, sizes in texts.items()
    }
    with torch.device("meta"):
        return {
            "unet": UNet2DConditionModel(**XL),
            "vae": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
            ),
            "text_encoder": CLIPTextModel(configs["text_encoder"]),
            "text_encoder_2": CLIPTextModelWithProjection(configs["text_encoder_2"]),
        }


def test_the_published_size_is_known_by_a_header_alone(full_size: dict[str, Any], tmp_path: Path) -> None:
    """A file of 6.9 GB that is a header and a hole."""
    names = by_original_names({part: each.state_dict() for part, each in full_size.items()}, "XL")
    header, end = {}, 0
    for name, value in names.items():
        begin, end = end, end + 2 * value.numel()
        header[name] = {"dtype": "F16", "shape": list(value.shape), "data_offsets": [begin, end]}
    content = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    with open(path, "wb") as file:
        file.write(len(content).to_bytes(8, "little") + content)
        file.truncate(8 + len(content) + end)
    assert 6.9e9 < path.stat().st_size < 7e9
    check_named(str(path))
    assert identify(path).kind == Kind.SDXL and describe(str(path)).size == 1024
    found = SingleFile.of(path)
    stated = {**XL, **{name: list(value) for name, value in XL.items() if isinstance(value, tuple)}}
    assert {name: found.config("unet")[name] for name in XL} == stated
    assert found.config("vae")["scaling_factor"] == 0.13025
    texts = [found.config(part) for part in ("text_encoder", "text_encoder_2")]
    assert [text["num_hidden_layers"] for text in texts] == [12, 32] and texts[1]["projection_dim"] == 1280
    for part, network in full_size.items():
        assert dict(found.shapes[part]) == {name: tuple(value.shape) for name, value in network.state_dict().items()}


def test_the_published_size_has_its_sites_and_its_memory(full_size: dict[str, Any]) -> None:
    network = full_size["unet"]
    sites = sites_of(network)
    assert len(select(sites, SiteKind.SELF)) == len(select(sites, SiteKind.CROSS)) == 70
    assert len(with_role(sites, Role.STRUCTURE_ATTENTION)) == 2 * 10 + 3 * 2
    with quiet_libraries():
        network.to(torch.float16)
        call, tokens = of_network(network, (4, 128, 128), (77, 2048), 1280, (1024, 1024))
    assert 1e8 < call < 1e9 and tokens == 2 * 128 * 128 * (10 * 640 // 4 + 60 * 1280 // 16)


def test_families_are_named() -> None:
    assert spoken_family(2048) == "Stable Diffusion XL" and "width 40" in spoken_family(40)
    assert Family.SD1.latent_scale == Family.SD2.latent_scale == 0.18215 != Family.SDXL.latent_scale
    assert Family.SDXL.text_parts == ("text_encoder", "text_encoder_2")
