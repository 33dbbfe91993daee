"""Code and pickles in the folders that users name never run, whatever answers on standard input."""

import io
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError
from pnpvideo.measure.judge import Judge, Tower
from pnpvideo.miniature import WEIGHTS
from pnpvideo.words.caption import Captioner
from pnpvideo.words.language_model import LanguageModel

LOADERS: dict[str, Callable[[str], Any]] = {
    "checkpoint": lambda folder: StableDiffusion(folder, torch.device("cpu"), torch.float32),
    "captioner": Captioner,
    "judge": Judge,
    "vision transformer": Tower.load,
    "language model": lambda folder: LanguageModel(folder, torch.device("cpu")),
}
PICKLES = (
    "pytorch_model.bin",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.fp16.bin",
    "adapter_model.bin",
    "model.ckpt",
    "model.pt",
    "model.pth",
    "model.pkl",
    "training_args.bin",
    "vocab.pkl",
    "tf_model.h5",
    "flax_model.msgpack",
    "rust_model.ot",
)
AUTO = (
    "AutoConfig",
    "AutoModel",
    "AutoModelForCausalLM",
    "AutoModelForSeq2SeqLM",
    "AutoModelForImageTextToText",
    "AutoTokenizer",
    "AutoProcessor",
    "AutoImageProcessor",
    "UNet2DConditionModel",
    "AutoencoderKL",
)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def folders(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A sound folder for each of LOADERS."""
    root = tmp_path_factory.mktemp("sound")
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE({"a": 0, "b": 1}, [])), eos_token="b")
    words.save_pretrained(root / "gpt")
    with torch.random.fork_rng():
        GPT2LMHeadModel(GPT2Config(vocab_size=2, n_embd=8, n_layer=1, n_head=1, n_positions=64)).save_pretrained(
            root / "gpt"
        )
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
        ViTModel(ViTConfig(**sizes, image_size=16, patch_size=8)).save_pretrained(root / "vit")
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(root / "vit")
    return {
        "checkpoint": checkpoint,
        "captioner": WEIGHTS / "captioner",
        "judge": WEIGHTS / "judge",
        "vision transformer": root / "vit",
        "language model": root / "gpt",
    }


@pytest.fixture(params=list(LOADERS))
def case(request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path: Path) -> tuple[Callable[[str], Any], Path]:
    """(loader, a copy of a folder that it loads)."""
    return LOADERS[request.param], Path(shutil.copytree(folders[request.param], tmp_path / "copy"))


@pytest.fixture(params=["open", "closed", "yes"])
def answers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    reading, writing = os.pipe()
    with open(reading) as stdin, open(writing, "w") as answer:
        if request.param == "yes":
            answer.write("y\n" * 1000)
            answer.close()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()) if request.param == "closed" else stdin)
        if request.param == "closed":
            os.sys.stdin.close()  # type: ignore[attr-defined]
        yield request.param


def parts(folder: Path) -> list[Path]:
    return [folder, *(path for path in folder.iterdir() if path.is_dir())]


def poison(folder: Path) -> Path:
    """Put code and pickles under every name into every folder of a model; the path that appears if any of it runs."""
    sung = folder.parent / "sung"
    code = f"from pathlib import Path\nPath({str(sung)!r}).touch()\nclass Evil: pass\n"
    for part in parts(folder):
        for name in ("evil.py", "pipeline.py", "modeling_evil.py"):
            (part / name).write_text(code)
        (part / "custom_generate").mkdir()
        (part / "custom_generate" / "generate.py").write_text(code)
        for name in PICKLES:
            (part / name).write_bytes(pickle.dumps(Canary(sung)))
        index = {"weight_map": {"weight": "pytorch_model.bin"}}
        (part / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        for path in part.glob("*config.json"):
            stated = json.loads(path.read_text())
            stated |= {"auto_map": dict.fromkeys(AUTO, "evil.Evil"), "trust_remote_code": True}
            path.write_text(json.dumps(stated))
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": ["evil", "Evil"], "unet": ["evil", "Evil"], "custom_pipeline": "pipeline"})
    )
    return sung


def silent(capfd: pytest.CaptureFixture[str]) -> bool:
    return capfd.readouterr() == ("", "")


def test_code_beside_sound_weights_is_not_looked_at(
    case: tuple[Callable[[str], Any], Path], answers: str, capfd: pytest.CaptureFixture[str]
) -> None:
    load, folder = case
    sung = poison(folder)
    load(str(folder))
    assert not sung.exists() and silent(capfd)


def test_a_model_that_is_code_of_its_own_is_refused(
    folders: dict[str, Path], answers: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(folders["language model"], tmp_path / "copy"))
    (folder / "config.json").write_text('{"model_type": "evil", "architectures": ["Evil"]}')
    sung = poison(folder)
    with pytest.raises(ModelError) as refused:
        LanguageModel(str(folder), torch.device("cpu"))
    assert not sung.exists() and silent(capfd)
    assert str(refused.value).endswith("code of its own, which its configs name, is never run")


def test_pickles_alone_are_refused(case: tuple[Callable[[str], Any], Path], capfd: pytest.CaptureFixture[str]) -> None:
    load, folder = case
    sung = poison(folder)
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelError) as refused:
        load(str(folder))
    assert not sung.exists() and silent(capfd)
    assert re.search(r"never (loaded|opened)", str(refused.value))


@pytest.mark.parametrize(
    "named", ["pytorch_model.bin", "../up.bin", "..\\up.bin", "up.safetensors/../pytorch_model.bin", "absolute", "link"]
)
@pytest.mark.parametrize("variant", ["", ".fp16"])
def test_an_index_names_nothing_but_safetensors_of_its_folder(
    named: str, variant: str, case: tuple[Callable[[str], Any], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    load, folder = case
    sung = poison(folder)
    for name in ("up.bin", "up.safetensors"):
        (folder.parent / name).write_bytes(pickle.dumps(Canary(sung)))
    named = str(folder.parent / "up.safetensors") if named == "absolute" else named
    for part in parts(folder):
        for path in part.glob("*.safetensors"):
            keys = {"a": torch.zeros(1)}
            path.unlink()
            save_file(keys, part / "decoy.safetensors")
            if named == "link":
                (part / "link.safetensors").symlink_to(folder.parent / "up.safetensors")
            index = {"weight_map": {"a": "link.safetensors" if named == "link" else named}}
            stem = "diffusion_pytorch_model" if part.name in ("unet", "vae") else "model"
            (part / f"{stem}.safetensors.index{variant}.json").write_text(json.dumps(index))
    with pytest.raises(ModelError) as refused:
        load(str(folder))
    assert not sung.exists() and silent(capfd)
    assert re.search(r"accepted are (\.safetensors )?files in the same folder", str(refused.value))


def test_the_canary_would_sing(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Canary(tmp_path / "sung")))
    assert (tmp_path / "sung").exists()


def test_a_kernel_that_a_config_names_is_not_fetched(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config may ask for an attention by the name of a repository, whose code the library would fetch and run."""
    folder = Path(shutil.copytree(folders["language model"], tmp_path / "copy"))
    stated = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(stated | {"attn_implementation": "someone/kernel"}))
    model = LanguageModel(str(folder), torch.device("cpu"))
    assert model.network.config._attn_implementation in ("sdpa", "eager")
