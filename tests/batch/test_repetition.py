"""A result is made again from its sidecar; what is other than then is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pnpvideo import batch
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.batch.repetition import again
from pnpvideo.errors import InputError, OptionError
from pnpvideo.pipeline import translate
from pnpvideo.settings.models import ALIASES
from pnpvideo.settings.options import Options
from pnpvideo.student.clip import translate_clip
from pnpvideo.words.direction import direction_from_templates
from pnpvideo.words.direction_file import save_direction

MakeOptions = Callable[..., Options]


@pytest.fixture
def sidecar(tmp_path: Path, options: MakeOptions) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    translate(tmp_path / "in.png", "a fox", tmp_path / "out.png", options())
    return tmp_path / "out.png.json"


def elsewhere(tmp_path: Path) -> dict[str, Path]:
    return {"store": tmp_path / "another store"}


def test_an_untouched_run_is_the_same(sidecar: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    made = again(sidecar, values={"store": tmp_path / "store"})
    assert made.same and made.output is None and made.differences == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    kept = again(sidecar, tmp_path / "new.png", values=elsewhere(tmp_path))
    assert kept.same and (tmp_path / "new.png").read_bytes() == (tmp_path / "out.png").read_bytes()
    assert again(tmp_path / "new.png.json", values=elsewhere(tmp_path)).same


def test_a_folder_whose_name_looks_like_a_files_is_made_again(
    sidecar: Path, tmp_path: Path, options: MakeOptions
) -> None:
    translate(tmp_path / "in.png", "a fox", f"{tmp_path}/frames.v2/", options())
    facts = json.loads((tmp_path / "frames.v2.json").read_text("utf-8"))
    assert facts["output"] == f"{tmp_path}/frames.v2/" and f"{tmp_path}/frames.v2/ --" in facts["command"]
    assert again(tmp_path / "frames.v2.json", values={"store": tmp_path / "store"}).same
    kept = again(tmp_path / "frames.v2.json", f"{tmp_path}/new.v3/", values={"store": tmp_path / "store"})
    assert kept.same and kept.output == tmp_path / "new.v3" and (tmp_path / "new.v3.json").exists()
    with pytest.raises(OptionError, match="is of another format"):
        again(sidecar, f"{tmp_path}/new.png/")


def test_a_translation_with_a_student_is_made_again_with_one(
    tmp_path: Path, options: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnpvideo.student.clip.STEPS", 3)
    (tmp_path / "in").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/{number}.png")
    translate_clip(tmp_path / "in", "a fox", tmp_path / "out", options(size=64))
    made = again(tmp_path / "out.json", values={"store": tmp_path / "store"})
    assert made.same and made.differences == ()


def test_another_input_is_named(sidecar: Path, tmp_path: Path) -> None:
    Image.new("RGB", (48, 32), (9, 90, 200)).save(tmp_path / "other.png")
    made = again(sidecar, input=tmp_path / "other.png", values=elsewhere(tmp_path))
    assert not made.same
    (said,) = made.differences
    assert said == f"the input {tmp_path / 'other.png'} has other contents than then"


def test_another_model_version_machine_and_option_are_named(sidecar: Path, checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "model")
    (tmp_path / "model/pnpvideo.json").write_text('{"guidance": 2.0}', "utf-8")
    facts = json.loads(sidecar.read_text("utf-8"))
    facts["stated"]["model"] = str(tmp_path / "model")
    facts["versions"]["torch"] = "1.0"
    facts["machine"]["processor"] = "abacus"
    facts["resolved"]["device"] = "cuda:0"
    sidecar.write_text(json.dumps(facts), "utf-8")
    made = again(sidecar, values=elsewhere(tmp_path))
    assert not made.same
    said = "\n".join(made.differences)
    for part in ("the model has other", "torch was 1.0", "processor was abacus", "device was cuda:0 and is cpu"):
        assert part in said
    assert "guidance was 7.5 and is 2.0" in said and len(made.differences) == 5


@pytest.mark.parametrize(
    "given",
    [
        {"mask": Path("mask.png"), "embedding": (("ink.safetensors", "ink"),)},
        {"captioner": "capt", "source_prompt": None},
        {"directions": (("d.safetensors", 1.0),)},
    ],
)
def test_files_that_were_named_from_another_folder_are_compared_by_their_contents(
    given: dict[str, Any],
    tmp_path: Path,
    options: MakeOptions,
    backend: StableDiffusion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (48, 32), "white").save("mask.png")
    Image.new("RGB", (48, 32), "red").save("in.png")
    save_file({"emb_params": torch.ones(1, 16)}, "ink.safetensors")
    save_direction(direction_from_templates(backend.text, "hen", "fox"), Path("d.safetensors"))
    shutil.copytree(Path(ALIASES["miniature"].source) / "captioner", "capt")
    translate("in.png", "a fox", "out.png", options(**given))
    monkeypatch.chdir("/")
    made = again(tmp_path / "out.png.json", input=tmp_path / "in.png", values=elsewhere(tmp_path))
    assert made.same and made.differences == ()
    if "directions" in given:
        stronger = {"directions": ((str(tmp_path / "d.safetensors"), 2.0),), **elsewhere(tmp_path)}
        (said,) = again(tmp_path / "out.png.json", values=stronger).differences
        assert said.startswith("directions was ")


def test_an_input_that_was_moved_is_found_beside_the_sidecar(sidecar: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    for name in ("in.png", "out.png.json"):
        shutil.move(tmp_path / name, tmp_path / "moved" / name)
    assert again(tmp_path / "moved/out.png.json", values=elsewhere(tmp_path)).same
    (tmp_path / "moved/in.png").unlink()
    with pytest.raises(InputError, match="say where it is with --input"):
        again(tmp_path / "moved/out.png.json")


def test_the_room_names_its_functions() -> None:
    assert batch.again is again and dir(batch) == sorted(batch.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = batch.nothing  # type: ignore[attr-defined]


def test_an_output_of_another_format_is_refused(sidecar: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"that ends in \.png"):
        again(sidecar, tmp_path / "new.jpg")
