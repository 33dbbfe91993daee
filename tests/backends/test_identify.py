"""What a file or folder is that is named as a model, whatever it is called."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pnpvideo.cli.main import main
from safetensors.numpy import save_file

from pnpvideo.backends.identify import READ, Kind, identify
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError

INPUT = "model.diffusion_model.input_blocks.0.0.weight"
UNET = {"conv_in.weight": (8, 4, 3, 3), "down_blocks.0.a": (1,), "up_blocks.0.a": (1,), "time_embedding.a": (1,)}
XL = {"model.diffusion_model.label_emb.0.0.weight": (8, 8)}
SHAPES: dict[str, tuple[Kind, dict[str, tuple[int, ...]]]] = {
    "sd15.safetensors": (Kind.SD, {INPUT: (8, 4, 3, 3), "first_stage_model.decoder.conv_in.weight": (1,)}),
    "sdxl": (Kind.SDXL, {INPUT: (8, 4, 3, 3), "conditioner.embedders.0.a": (1,)}),
    "refiner": (Kind.REFINER, {INPUT: (8, 4, 3, 3), "conditioner.embedders.0.model.a": (1,)}),
    "large refiner": (Kind.REFINER, {INPUT: (8, 4, 3, 3), **XL, "model.diffusion_model.input_blocks.9.0.op.a": (1,)}),
    "inpainting": (Kind.INPAINTING, {INPUT: (8, 9, 3, 3)}),
    "XL inpainting": (Kind.INPAINTING, {INPUT: (8, 9, 3, 3), **XL}),
    "depth": (Kind.EXTRA_INPUT, {INPUT: (8, 5, 3, 3)}),
    "peft": (Kind.LORA, {"unet.down_blocks.0.attentions.0.to_q.lora_A.weight": (4, 8)}),
    "kohya": (Kind.LORA, {"lora_unet_down_blocks_0_attentions_0_to_q.lora_down.weight": (4, 8)}),
    "lycoris": (Kind.LORA, {"lora_unet_down_blocks_0_to_q.hada_w1_a": (4, 8)}),
    "controlnet": (Kind.CONTROLNET, {"controlnet_cond_embedding.conv_in.weight": (8, 3, 3, 3), **UNET}),
    "old controlnet": (Kind.CONTROLNET, {"control_model.input_blocks.0.0.weight": (8, 4, 3, 3)}),
    "ip adapter": (Kind.ADAPTER, {"image_proj.proj.weight": (8, 8), "ip_adapter.1.to_k_ip.weight": (8, 8)}),
    "animatediff": (Kind.ADAPTER, {"down_blocks.0.motion_modules.0.a": (1,)}),
    "flux": (Kind.TRANSFORMER, {"model.diffusion_model.double_blocks.0.img_attn.qkv.weight": (3, 1)}),
    "sd3": (Kind.SD3, {"model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight": (3, 1)}),
    "sd3 without a prefix": (Kind.SD3, {"joint_blocks.1.x_block.attn.qkv.weight": (3, 1)}),
    "dit": (
        Kind.TRANSFORMER,
        {"transformer_blocks.0.attn1.to_q.weight": (8, 8), "pos_embed.proj.weight": (8, 4, 2, 2)},
    ),
    "unet": (Kind.UNET, UNET),
    "XL unet": (Kind.UNET, {**UNET, "add_embedding.linear_1.weight": (8, 8)}),
    "vae": (Kind.VAE, {"encoder.conv_in.weight": (8, 3, 3, 3), "decoder.conv_out.weight": (3, 8, 3, 3)}),
    "words": (Kind.TEXT_ENCODER, {"text_model.embeddings.token_embedding.weight": (9, 8)}),
    "clip": (Kind.CLIP, {"text_model.a": (1,), "vision_model.a": (1,)}),
    "embedding": (Kind.EMBEDDING, {"emb_params": (2, 768)}),
    "anything": (Kind.UNKNOWN, {"a": (1,), "b": (2, 2, 2)}),
}


def tensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, path)
    return path


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("called", ["sd15.safetensors", "lora.ckpt", "x"])
def test_a_file_is_known_by_its_tensors(name: str, called: str, tmp_path: Path) -> None:
    kind, shapes = SHAPES[name]
    path = tensors(tmp_path / called, shapes)
    found = identify(path)
    assert found.kind == kind and found.single_file
    if kind in READ:
        return  # one file is a model, too: see test_single_file.py
    with pytest.raises(ModelError, match=r"accepted is a folder in the diffusers layout") as refused:
        StableDiffusion(str(path), torch.device("cpu"), torch.float32)
    assert kind.value in str(refused.value) and "fetch" not in str(refused.value)


@pytest.mark.parametrize("called", ["sd15.ckpt", "sd15.safetensors"])
def test_pickles_are_known_by_their_first_bytes(called: str, tmp_path: Path) -> None:
    for content in ("pickle", "zip"):
        path = tmp_path / called
        path.write_bytes(pickle.dumps({"a": 1}, protocol=2))
        if content == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", b"")
        assert identify(path).kind == Kind.PICKLE


@pytest.mark.parametrize("content", [b"", b"PNG", b"\xff" * 100, b"\x10\0\0\0\0\0\0\0{}"])
def test_other_files_are_of_no_known_kind(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert identify(tmp_path / "model.safetensors").kind == Kind.UNKNOWN


FOLDERS = {
    "DiT": ("transformer/diffusion_pytorch_model.safetensors", "dit", Kind.TRANSFORMER),
    "LoRA": ("pytorch_lora_weights.safetensors", "peft", Kind.LORA),
    "ControlNet": ("diffusion_pytorch_model.safetensors", "controlnet", Kind.CONTROLNET),
    "one file": ("v1-5-pruned.safetensors", "sd15.safetensors", Kind.SD),
    "UNet": ("diffusion_pytorch_model.safetensors", "unet", Kind.UNET),
    "text encoder": ("model.safetensors", "words", Kind.TEXT_ENCODER),
    "SDXL LoRA": ("x/y.safetensors", "kohya", Kind.UNKNOWN),
}


@pytest.mark.parametrize("name", list(FOLDERS))
def test_a_folder_is_known_by_its_tensors(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, shapes, kind = FOLDERS[name]
    tensors(tmp_path / path, SHAPES[shapes][1])
    (tmp_path / "config.json").write_text("{}")
    assert identify(tmp_path).kind == kind
    arguments = ["direction", "build", "--from", "a", "--to", "b", "-o", str(tmp_path / "o.safetensors")]
    with pytest.raises(ModelError, match="accepted is a folder in the diffusers layout"):
        StableDiffusion(str(tmp_path), torch.device("cpu"), torch.float32)
    assert main([*arguments, "--model", str(tmp_path)]) == 4
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("channels", "says"), [(9, "inpainting"), (5, "second picture")])
def test_a_checkpoint_for_another_task_says_so(channels: int, says: str, checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    tensors(folder / "unet" / "diffusion_pytorch_model.safetensors", {**UNET, "conv_in.weight": (8, channels, 3, 3)})
    with pytest.raises(ModelError, match=says):
        StableDiffusion(str(folder), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("channels", [4, 8])
def test_a_latent_may_have_any_number_of_channels(channels: int, tmp_path: Path) -> None:
    ends = {"conv_in.weight": (8, channels, 3, 3), "conv_out.weight": (channels, 8, 3, 3)}
    tensors(tmp_path / "unet" / "diffusion_pytorch_model.safetensors", {**UNET, **ends})
    assert identify(tmp_path).kind == Kind.SD


def test_a_missing_scheduler_says_what_it_is_for(checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    shutil.rmtree(folder / "scheduler")
    with pytest.raises(ModelError, match=r"has no scheduler/scheduler_config\.json, which states the noise levels"):
        StableDiffusion(str(folder), torch.device("cpu"), torch.float32)


def test_a_folder_of_half_precision_alone_loads(checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    for path in folder.rglob("*.safetensors"):
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    plain = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)
    found = StableDiffusion(str(folder), torch.device("cpu"), torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(plain.network.parameters(), found.network.parameters(), strict=True))


@pytest.mark.parametrize("variant", ["", ".fp16"])
def test_shards_load_as_one_file_does(variant: str, checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file
    from safetensors.torch import save_file as save

    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        weights = load_file(folder / part / f"{stem}.safetensors")
        (folder / part / f"{stem}.safetensors").unlink()
        table: dict[str, str] = {}
        for number in (1, 2):
            shard = f"{stem}{variant}-0000{number}-of-00002.safetensors"
            mine = {name: value for index, (name, value) in enumerate(weights.items()) if index % 2 == number - 1}
            save(mine, folder / part / shard, {"format": "pt"})
            table |= dict.fromkeys(mine, shard)
        index = {"metadata": {}, "weight_map": table}
        (folder / part / f"{stem}.safetensors.index{variant}.json").write_text(json.dumps(index))
    plain = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)
    found = StableDiffusion(str(folder), torch.device("cpu"), torch.float32)
    encoders = (each.text.encoders["text_encoder"] for each in (found, plain))
    for ours, theirs in ((found.network, plain.network), tuple(encoders)):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_a_byte_order_mark_is_read_over(checkpoint: Path, tmp_path: Path) -> None:
    """As some editors write it, in every text of a checkpoint."""
    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    (folder / "pnpvideo.json").write_text('{"guidance": 3.0}')
    texts = [path for path in folder.rglob("*") if path.suffix in (".json", ".txt")]
    for path in texts:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    plain = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)
    found = StableDiffusion(str(folder), torch.device("cpu"), torch.float32)
    assert (
        len(texts) >= 6
        and torch.equal(found.embed("a hen").tokens, plain.embed("a hen").tokens)
        and found.card.recommended == {"guidance": 3.0}
    )
