"""The parts that a backend is loaded with: device, files, hub names, text tower, footprint, silence, descriptions."""

import json
import logging
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pnpvideo.backends.checkpoint import describe, locate, locate_text
from pnpvideo.backends.device import choose_device, choose_dtype
from pnpvideo.backends.few_step import few_step
from pnpvideo.backends.footprint import Living, of_autoencoder, of_network
from pnpvideo.backends.hub import local_folder
from pnpvideo.backends.load import load
from pnpvideo.backends.model_files import check_files, choose_weights, read_json, tensor_shapes, weights_of
from pnpvideo.backends.quiet import quiet_libraries
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.text import load_text
from pnpvideo.errors import DeviceError, ModelError
from pnpvideo.settings.options import Runtime


def test_a_device_is_one_that_this_machine_has() -> None:
    cpu = choose_device("cpu")
    assert cpu == torch.device("cpu") and choose_device("auto").type in ("cpu", "cuda", "mps")
    assert choose_dtype("auto", cpu) is torch.float32 and choose_dtype("auto", torch.device("cuda")) is torch.float16
    assert choose_dtype("bfloat16", cpu) is torch.bfloat16
    for name in ("gpu", "cuda:99", "cpu:x"):
        with pytest.raises(DeviceError, match=f"device is '{name}'"):
            choose_device(name)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model.safetensors", "model.fp16.safetensors"], ("model.safetensors",)),
        (["model.fp16.safetensors", "pytorch_model.bin"], ("model.fp16.safetensors",)),
        (["odd.safetensors"], ("odd.safetensors",)),
        (["a.safetensors", "b.safetensors"], ()),
        (["pytorch_model.bin"], ()),
    ],
)
def test_which_weights_of_a_folder_are_loaded(names: list[str], chosen: tuple[str, ...]) -> None:
    assert choose_weights(names) == chosen


def test_files_of_a_model_are_read_or_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('\ufeff{"a": 1}', encoding="utf-8")
    assert read_json(tmp_path / "config.json") == {"a": 1}
    check_files(tmp_path, ("missing.txt",), ("config.json",))
    save_file({"w": torch.zeros(2, 3)}, tmp_path / "model.safetensors")
    assert tensor_shapes(weights_of(tmp_path)) == {"w": (2, 3)}
    for content, complaint in (("[]", "no JSON object"), ("{", "cannot be read as JSON")):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(ModelError, match=complaint):
            read_json(tmp_path / "bad.json")
    with pytest.raises(ModelError, match=r"has no missing\.txt"):
        check_files(tmp_path, ("missing.txt",))


def test_a_name_is_a_folder_or_a_hub_id(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert local_folder(str(tmp_path)) == tmp_path and local_folder("owner/name") is None
    for name in (str(tmp_path / "file"), str(tmp_path / "missing"), "no-slash", "./a", "a/b/c"):
        with pytest.raises(ModelError, match=r"is no folder|no model at"):
            local_folder(name)


def test_a_checkpoint_is_described_without_its_weights(checkpoint: Path, backend: StableDiffusion) -> None:
    assert locate(str(checkpoint)) == locate_text(str(checkpoint)) == checkpoint
    found = describe(str(checkpoint))
    assert (found.size, found.few_step, found.prediction) == (backend.size, backend.few_step, backend.prediction)
    assert found.card == backend.card
    assert few_step({"_class_name": "LCMScheduler"}) and not few_step({"_class_name": "DDIMScheduler"})


def test_texts_are_read_by_letters_here(checkpoint: Path) -> None:
    tower = load_text(checkpoint, torch.device("cpu"))
    assert (tower.length, tower.width) == (20, 16) and tower.embeds(["a hen", ""]).tokens.shape == (2, 20, 16)
    assert tower.positions("a hen and a hen", "hen") != () and tower.positions("a hen", "fox") == ()
    assert tower.known("a") and not tower.known("hen")
    assert tower.pieces("a hen") == ("a", "h", "e", "n") and tower.pieces("") == ()
    assert tower.pieces("abcdefghijklmnopqrstuvwxyz") == tuple("abcdefghijklmnopqr")
    assert tower.truncation("a hen") == "" and tower.truncation("abcdefghijklmnopqrstuvwxyz") == "stuvwxyz"
    assert tower.end("") == 1


def test_a_footprint_grows_with_the_picture(backend: StableDiffusion) -> None:
    small, large = (of_network(backend.network, (4, side, side), (20, 16)) for side in (8, 16))
    assert large[0] > 2 * small[0] and large[1] == 4 * small[1]
    assert of_autoencoder(backend.vae, (4, 16, 16), 8) > of_autoencoder(backend.vae, (4, 8, 8), 8)
    with Living() as living:
        _ = torch.zeros(1000) + torch.zeros(1000)
    assert living.peak >= 2 * 4000


def test_libraries_are_quiet_and_as_loud_as_before_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("diffusers")
    before = (logger.handlers, logger.propagate)
    with quiet_libraries():
        logger.warning("to nobody")
        warnings.warn("to nobody", stacklevel=1)
    assert capfd.readouterr() == ("", "") and (logger.handlers, logger.propagate) == before


def test_a_model_in_use_is_shared_until_its_files_change(checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    runtime = Runtime(device="cpu")
    first = load(str(folder), runtime)
    assert load(str(folder), runtime) is first
    (folder / "pnpvideo.json").write_text(json.dumps({"guidance": 3.0}))
    again = load(str(folder), runtime)
    assert again is not first and again.card.recommended == {"guidance": 3.0}
