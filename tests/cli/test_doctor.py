"""pnpvideo doctor and models: what they find, and what they say when something is missing."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pnpvideo.cli.main import main
from safetensors.torch import load_file, save_file

from pnpvideo.errors import PnPVideoError
from pnpvideo.video import ffmpeg

Output = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Alias:
    name: str
    source: str
    note: str
    gigabytes: float
    licence: str


@pytest.fixture
def miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a checkpoint, under the name of the miniature; and one that lies on a hub."""
    folder = tmp_path / "weights"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    save_file({"x": torch.zeros(2)}, folder / "unet" / "diffusion_pytorch_model.safetensors")
    module = ModuleType("pnpvideo.settings.models")
    aliases = [
        Alias("miniature", str(folder), "ships with pnpvideo", 0.0, "MIT"),
        Alias("sd15", "somebody/sd15", "photographs", 4.3, "OpenRAIL"),
    ]
    module.__dict__["ALIASES"] = {alias.name: alias for alias in aliases}
    monkeypatch.setitem(sys.modules, "pnpvideo.settings.models", module)
    monkeypatch.setenv("PNPVIDEO_STORE", str(tmp_path / "store"))
    return folder


@pytest.fixture
def examine(miniature: Path, capsys: Output) -> Callable[[], tuple[int, dict[str, Any]]]:
    def examined() -> tuple[int, dict[str, Any]]:
        code = main(["doctor", "--json"])
        said = json.loads(capsys.readouterr().out)
        assert said["usable"] == (code == 0)
        for check in said["checks"]:
            assert bool(check["fix"]) == (not check["ok"])
        return code, {check["name"]: check for check in said["checks"]}

    return examined


Examine = Callable[[], tuple[int, dict[str, Any]]]


def test_a_sound_machine_is_usable(examine: Examine, tmp_path: Path) -> None:
    code, checks = examine()
    assert code == 0
    assert torch.__version__ in checks["torch"]["found"] and "cpu" in checks["devices"]["found"]
    assert ffmpeg.executable() in checks["ffmpeg"]["found"] and "libx264" in checks["encoders"]["found"]
    assert str(tmp_path / "store") in checks["store"]["found"] and not (tmp_path / "store").exists()
    assert "1 networks" in checks["miniature"]["found"]


def test_a_person_reads_a_line_for_each_check(miniature: Path, capsys: Output) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok  ") for line in lines) and len(lines) > 10


@pytest.mark.parametrize("damage", ["unet/diffusion_pytorch_model.safetensors", "model_index.json"])
def test_a_missing_model_is_found(examine: Examine, miniature: Path, damage: str) -> None:
    (miniature / damage).unlink()
    code, checks = examine()
    assert code == 1 and not checks["miniature"]["ok"] and "install pnpvideo again" in checks["miniature"]["fix"]


def test_a_damaged_model_is_found(examine: Examine, miniature: Path, capsys: Output) -> None:
    weights = miniature / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    code, checks = examine()
    assert code == 1 and str(weights) in checks["miniature"]["found"]
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "FAIL  miniature" in said and "install pnpvideo again" in said


def test_a_missing_ffmpeg_is_found(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise PnPVideoError("ffmpeg was not found")

    monkeypatch.setattr(ffmpeg, "executable", missing)
    code, checks = examine()
    assert code == 1 and not checks["ffmpeg"]["ok"] and "IMAGEIO_FFMPEG_EXE" in checks["ffmpeg"]["fix"]


def test_a_missing_encoder_is_named(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "encoders", lambda: frozenset({"aac", "gif", "apng", "libopus", "libvpx-vp9"}))
    code, checks = examine()
    assert code == 1 and checks["encoders"]["found"] == "lacks libx264"


def test_a_missing_library_is_named(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    code, checks = examine()
    assert code == 1 and not checks["kornia"]["ok"] and "pip install kornia" in checks["kornia"]["fix"]


def test_a_store_that_cannot_be_written_is_found(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNPVIDEO_STORE", str(Path("a file/store").absolute()))
    Path("a file").touch()
    code, checks = examine()
    assert code == 1 and not checks["store"]["ok"] and "--store" in checks["store"]["fix"]


def test_models_says_what_is_here(miniature: Path, capsys: Output) -> None:
    assert main(["models", "--json"]) == 0
    first = {"name": "miniature", "source": str(miniature), "local": True, "note": "ships with pnpvideo"}
    second = {"name": "sd15", "source": "somebody/sd15", "local": False, "note": "photographs"}
    assert json.loads(capsys.readouterr().out)["models"] == [
        {**first, "gigabytes": 0.0, "licence": "MIT"},
        {**second, "gigabytes": 4.3, "licence": "OpenRAIL"},
    ]
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert "on this machine" in said and "fetched on first use" in said
    assert "4.3 GB" in said and "OpenRAIL" in said and "pnpvideo models fetch sd15" in said
    assert "models fetch miniature" not in said


def test_models_finds_a_checkpoint_in_the_hubs_cache(
    miniature: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hub lays its cache out: a reference names the snapshot that is current."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    repository = cache / "models--somebody--sd15"
    snapshot = repository / "snapshots" / "abc"

    def local() -> bool:
        assert main(["models", "--json"]) == 0
        return json.loads(capsys.readouterr().out)["models"][1]["local"]

    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (snapshot / "unet").mkdir(parents=True)
    (snapshot / "model_index.json").write_text("{}")
    assert not local(), "an index without weights is a broken download"
    (snapshot / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    assert local()


def test_a_model_is_loaded_and_asked_once(checkpoint: Path, capsys: Output) -> None:
    assert main(["doctor", str(checkpoint), "--json", "--dtype", "bfloat16", "--device", "cpu"]) == 0
    found = {check["name"]: check["found"] for check in json.loads(capsys.readouterr().out)["checks"]}
    network = json.loads((checkpoint / "unet/config.json").read_text(encoding="utf-8"))
    side = 8 * network["sample_size"]
    assert f"{side} x {side} pixels" in found["model"] and str(network["cross_attention_dim"]) in found["model"]
    assert found["precision"] == "bfloat16 on cpu"
    assert "self-attention" in found["sites"] and "cross-attention" in found["sites"]
    assert "GiB of weights" in found["memory"] and "s for the first call" in found["call"]
    assert "change the prediction by decoder layer 4: " in found["structure"]


def test_idle_layers_of_structure_are_said(checkpoint: Path, tmp_path: Path, capsys: Output) -> None:
    idle = Path(shutil.copytree(checkpoint, tmp_path / "idle"))
    (weights,) = (idle / "unet").glob("*.safetensors")
    tensors = load_file(weights)
    blocks = [name for name in tensors if ".resnets." in name and ".conv2." in name and not name.startswith("down")]
    save_file({**tensors, **{name: 0 * tensors[name] for name in blocks if "up_blocks.3" not in name}}, weights)
    assert main(["doctor", str(idle), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "change the prediction by decoder layer 4: 0% of the pictures' difference; idle" in said
    (active,) = re.findall(r'Not idle: \[(.*?)\]; name some as "structure_layers"', said)
    assert set(filter(None, active.split(", "))) <= {"9", "10", "11"}


def test_stable_diffusion_3_is_loaded_and_asked_once(joint_checkpoint: Path, capsys: Output) -> None:
    assert main(["doctor", str(joint_checkpoint), "--json", "--device", "cpu"]) == 0
    found = {check["name"]: check["found"] for check in json.loads(capsys.readouterr().out)["checks"]}
    assert "64 x 64 pixels, 16 latent channels" in found["model"] and "predicts flow" in found["model"]
    assert found["sites"] == "4 self-attention, 3 residual" and "s for the first call" in found["call"]
    assert main(["doctor", str(joint_checkpoint), "--lora", "none.safetensors", "--device", "cpu"]) == 1
    assert "LoRAs go with 1.x, 2.x and XL alone" in capsys.readouterr().out


def test_models_says_what_stable_diffusion_3_takes(capsys: Output) -> None:
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert "sd3" in said and "stabilityai/stable-diffusion-3-medium-diffusers" in said
    assert "It takes Stable Diffusion 3 and 3.5 in the same" in said


def test_options_of_a_model_need_one(capsys: Output) -> None:
    assert main(["doctor", "--dtype", "bfloat16"]) == 2
    assert "--dtype is of a model; name one" in capsys.readouterr().err


def test_a_model_that_cannot_be_loaded_is_said_beside_the_machine(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["doctor", str(tmp_path / "empty"), "--json"]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert not checks["model"]["ok"] and str(tmp_path / "empty") in checks["model"]["found"]
    assert checks["torch"]["ok"] and "precision" not in checks


def test_infinity_in_the_one_call_is_said(checkpoint: Path, tmp_path: Path, capsys: Output) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (weights,) = (broken / "unet").glob("*.safetensors")
    tensors = load_file(weights)
    save_file({**tensors, "conv_out.bias": torch.full_like(tensors["conv_out.bias"], float("inf"))}, weights)
    assert main(["doctor", str(broken)]) == 1
    said = capsys.readouterr().out
    assert "FAIL  call" in said and "--dtype float32" in said
