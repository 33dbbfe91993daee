"""--controlnet: a folder or a file in either naming; what is none, or was made for another model, is said in a line."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from pnpvideo.backends.controlnet_file import ControlNetFile
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError
from pnpvideo.injection import NetworkCall
from tests.backends.test_refused import Canary
from tests.controlnets import original, write_controlnet

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def network(checkpoint: Path) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(checkpoint / "unet")


@pytest.fixture(scope="module")
def folder(network: UNet2DConditionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_controlnet(tmp_path_factory.mktemp("control") / "net", network)


def packagings(folder: Path, root: Path) -> dict[str, Path]:
    tensors = load_file(folder / WEIGHTS)
    files = {
        "diffusers": tensors,
        "original": original(tensors),
        "original with its prefix": {f"control_model.{name}": value for name, value in original(tensors).items()},
    }
    for name, content in files.items():
        save_file({key: value.contiguous() for key, value in content.items()}, root / f"{name}.safetensors")
    half = Path(shutil.copytree(folder, root / "half"))
    (half / WEIGHTS).rename(half / "diffusion_pytorch_model.fp16.safetensors")
    inside = root / "pipeline"
    shutil.copytree(folder, inside / "controlnet")
    return {"folder": folder, "variant": half, "in a pipeline": inside} | {
        name: root / f"{name}.safetensors" for name in files
    }


def test_every_packaging_is_the_same_network(folder: Path, backend: StableDiffusion, tmp_path: Path) -> None:
    expected = ControlNetModel.from_pretrained(folder)
    x, words = torch.ones(1, 4, 4, 4), backend.embed("a fox").tokens[None]
    condition = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        skips, middle = expected(x, 500, words, condition, return_dict=False)
        for name, path in packagings(folder, tmp_path).items():
            (net,) = backend.controlnets([str(path)])
            found = net.residuals(NetworkCall(x=x, timestep=500, text=words), condition)
            assert torch.equal(found.middle, middle), name
            assert all(torch.equal(a, b) for a, b in zip(found.skips, skips, strict=True)), name


def altered(folder: Path, root: Path, change: Callable[[dict[str, torch.Tensor]], object], **config: object) -> Path:
    copy = Path(shutil.copytree(folder, root / f"copy{len(list(root.iterdir()))}"))
    tensors = load_file(copy / WEIGHTS)
    change(tensors)
    save_file(tensors, copy / WEIGHTS, metadata={"format": "pt"})
    stated = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**stated, **config}))
    return copy


def refused(path: Path, backend: StableDiffusion, match: str) -> None:
    with pytest.raises(ModelError, match=match) as error:
        backend.controlnets([str(path)])
    assert len(str(error.value).splitlines()) == 1 and error.value.exit_code == 4


def test_those_of_other_models_are_refused(folder: Path, backend: StableDiffusion, tmp_path: Path) -> None:
    wide = {"block_out_channels": (32, 32, 32, 32), "cross_attention_dim": 16}
    deep = {"block_out_channels": (16, 32, 32, 32), "cross_attention_dim": 1024}
    cases = {"the widths of its levels": wide, "for Stable Diffusion 2.x.*the width of the text is 1024": deep}
    for says, sizes in cases.items():
        path = tmp_path / says[:12]
        ControlNetModel(
            **sizes, norm_num_groups=8, attention_head_dim=2, conditioning_embedding_out_channels=(4, 4, 8, 8)
        ).save_pretrained(path)
        refused(path, backend, says)

    def xl(tensors: dict[str, torch.Tensor]) -> None:
        tensors["add_embedding.linear_1.weight"] = torch.zeros(64, 64)

    refused(altered(folder, tmp_path, xl), backend, "is a ControlNet for Stable Diffusion XL")

    def inpaint(tensors: dict[str, torch.Tensor]) -> None:
        tensors["conv_in.weight"] = torch.zeros(16, 9, 3, 3)

    refused(altered(folder, tmp_path, inpaint), backend, "the latents' channels is 9, and the model's 4")

    def short(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["controlnet_down_blocks.11.weight"]

    refused(altered(folder, tmp_path, short), backend, "skip connections is 11, and the model's 12")

    def grey(tensors: dict[str, torch.Tensor]) -> None:
        tensors["controlnet_cond_embedding.conv_in.weight"] = torch.zeros(4, 1, 3, 3)

    refused(altered(folder, tmp_path, grey), backend, "conditions of 1 channels")
    refused(altered(folder, tmp_path, dict, class_embed_type="timestep"), backend, "states class_embed_type")
    refused(altered(folder, tmp_path, dict, layers_per_block=1), backend, "cannot be loaded as a ControlNetModel")


def test_what_is_no_controlnet_is_named(
    folder: Path, checkpoint: Path, backend: StableDiffusion, tmp_path: Path
) -> None:
    refused(checkpoint / "unet", backend, "is the denoising network of a checkpoint alone; accepted for --controlnet")
    refused(checkpoint / "vae", backend, "is the autoencoder of a checkpoint alone")
    refused(checkpoint, backend, "is Stable Diffusion 1.x or 2.x; accepted for --controlnet")
    refused(tmp_path / "nothing", backend, "is missing")
    content = (folder / WEIGHTS).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    refused(tmp_path / "cut.safetensors", backend, "cannot be loaded as safetensors")
    save_file({"control_model.input_blocks.0.0.weight": torch.zeros(1)}, tmp_path / "part.safetensors")
    refused(tmp_path / "part.safetensors", backend, "lacks")


def test_pickles_never_run(folder: Path, backend: StableDiffusion, tmp_path: Path) -> None:
    sung, canary = tmp_path / "sung", pickle.dumps(Canary(tmp_path / "sung"))
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for name in ("diffusion_pytorch_model.bin", "pytorch_model.bin", "model.pth", "controlnet.pt"):
        (copy / name).write_bytes(canary)
    (copy / "evil.py").write_text(f"open({str(sung)!r}, 'w')")
    stated = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**stated, "auto_map": {"AutoModel": "evil.Evil"}}))
    backend.controlnets([str(copy)])
    assert not sung.exists()
    (copy / WEIGHTS).unlink()
    refused(copy, backend, "is pickled weights, which are never opened")
    (tmp_path / "net.pth").write_bytes(canary)
    refused(tmp_path / "net.pth", backend, "is pickled weights, which are never opened")
    assert not sung.exists()


def test_a_header_says_for_what_it_was_made(folder: Path) -> None:
    file = ControlNetFile.of(folder)
    assert file.text_width == 16 and file.family == "a model that reads text of width 16"
