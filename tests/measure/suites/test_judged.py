"""Structure and agreement with text in both modes, and judges that are missing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ViTModel

from pnpvideo.measure.judge import Judge, Tower
from pnpvideo.measure.suites.agreement import agreement
from pnpvideo.measure.suites.judges import load_judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.structure import DEVIATION, MEAN, TensorInput, structure_between
from tests.measure.suites.conftest import picture

PROMPT = "a photo of a red ball on grass"


def plain_keys(folder: Path, pixels: torch.Tensor) -> np.ndarray:
    """Keys (tokens, width) of the last layer, by its input and its weights."""
    network = ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.no_grad():
        states = network(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
        layers = dict(network.named_modules())
        norm = next(module for name, module in layers.items() if name.endswith("1.layernorm_before"))
        keys = next(m for n, m in layers.items() if n.rpartition(".")[2] in ("key", "k_proj") and ".1." in f".{n}")
        found: np.ndarray = keys(norm(states))[0].double().numpy()
    return found


def plain_distance(folder: Path, pictures: list[torch.Tensor]) -> float:
    maps = []
    for pixels in pictures:
        keys = plain_keys(folder, pixels)
        unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
        maps.append(unit @ unit.T)
    return float(1000 * ((maps[0] - maps[1]) ** 2).mean())


@pytest.mark.parametrize("levels", [1.0, 255.0])
def test_compat_structure_is_the_plain_reference(vit: Path, levels: float) -> None:
    source, result = picture(0, 96), picture(1, 96)
    inputs = []
    for each in (source, result):
        pixels = torch.from_numpy(each.copy()).permute(2, 0, 1)[None].float() * (levels / 255)
        small = pixels[..., 1::3, 1::3]  # of 96 pixels to 32, bilinear without antialiasing hits every third pixel
        mean, deviation = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        inputs.append((small - mean) / deviation)
    found = structure_between(Tower.load(str(vit)), source, result, Mode.COMPAT, TensorInput(levels))
    assert found["structure"] == pytest.approx(plain_distance(vit, inputs), abs=1e-4)
    assert found["structure"] > 0


def test_strict_structure_is_the_plain_reference(vit: Path) -> None:
    source, result = picture(0, 32), picture(1, 32)
    inputs = [torch.from_numpy(each.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1 for each in (source, result)]
    tower = Tower.load(str(vit))
    found = structure_between(tower, source, result, Mode.STRICT, TensorInput())
    assert found["structure"] == pytest.approx(plain_distance(vit, inputs), abs=1e-4)
    for mode in Mode:
        assert structure_between(tower, source, source, mode, TensorInput(255.0)) == {"structure": 0.0}


def test_agreement_is_a_hundred_times_the_cosine() -> None:
    judge, shown = Judge(), picture(3, 64)
    expected = 100 * float((judge.embed_pictures([shown]) @ judge.embed_texts([PROMPT]).T)[0, 0])
    assert agreement(judge, shown, PROMPT, Mode.STRICT) == {"match": pytest.approx(expected, abs=1e-4)}
    assert agreement(judge, shown, PROMPT, Mode.COMPAT) == {"match": pytest.approx(max(expected, 0), abs=1e-4)}


def test_the_region_is_on_black_in_compat_and_cut_out_in_strict() -> None:
    judge, shown = Judge(), picture(4, 64)
    region = np.zeros((64, 64), bool)
    region[10:30, 20:60] = True
    black = shown.copy()
    black[~region] = 0
    for mode, seen in ((Mode.COMPAT, black), (Mode.STRICT, shown[10:30, 20:60])):
        expected = 100 * float(judge.cosines([seen], [PROMPT])[0, 0])
        found = agreement(judge, shown, PROMPT, mode, region)["edited"]
        assert found == pytest.approx(max(expected, 0) if mode is Mode.COMPAT else expected, abs=1e-4)
        assert np.isnan(agreement(judge, shown, PROMPT, mode, np.zeros((64, 64), bool))["edited"])


def test_missing_judges_are_named_with_what_fetches_them(vit: Path, lpips_file: Path, tmp_path: Path) -> None:
    found = load_judges(str(tmp_path / "clip"), str(vit))
    assert found.clip is None and found.tower is not None and found.lpips is None
    assert set(found.missing) == {"CLIP", "LPIPS"} and set(found.protocol) == {"DINO"}
    assert "no model at" in found.missing["CLIP"] and "pip install lpips" in found.missing["LPIPS"]
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    found = load_judges("miniature", str(tmp_path), tmp_path / "picture.png")
    assert set(found.missing) == {"DINO", "LPIPS"} and found.clip is not None
    found = load_judges("miniature", str(vit), lpips_file)
    assert found.missing == {} and set(found.protocol) == {"CLIP", "DINO", "LPIPS"}
    assert found.protocol["LPIPS"].startswith("lpips.safetensors (")


def test_a_hub_id_that_cannot_be_fetched_names_the_command(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = load_judges("nobody/no-clip", str(vit))
    assert "hf download nobody/no-clip" in found.missing["CLIP"]
