"""The shipped judge, and other models as judges."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTImageProcessor, ViTModel

from pnpvideo.errors import ModelError, OptionError
from pnpvideo.measure.clip import load_judges as judges
from pnpvideo.measure.judge import Judge, Tower, model_type
from pnpvideo.measure.judge_measures import edit_success
from pnpvideo.measure.model import judge_accuracy, render_picture, unseen_instant
from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.world import caption


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def test_the_judge_knows_the_world(judge: Judge) -> None:
    shares = judge_accuracy(judge, 60)
    assert min(shares[name] for name in ("style", "colour", "ground", "sky")) > 0.9
    assert shares["shape"] > 0.9


def test_a_true_caption_matches_better_than_a_false_one(judge: Judge) -> None:
    scene = unseen_instant(3)
    true, picture = caption(scene, "photo"), render_picture(scene, "photo")
    for lie in (true.replace("a photo", "a cartoon"), true.replace(scene.things[0].colour, "green")):
        assert lie != true
        found = edit_success(judge, [picture], true, lie)
        assert found["success"] == 1 and found["match"] > 50


def test_batches_do_not_change_the_cosines(judge: Judge) -> None:
    pictures = [render_picture(unseen_instant(number), "clay", 96) for number in range(3)] * 12
    together = judge.cosines(pictures, ["a red ball", "in clay"])
    assert together.shape == (36, 2)
    assert torch.allclose(together[:3], judge.cosines(pictures[:3], ["a red ball", "in clay"]), atol=1e-5)


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT of DINO's kind with random weights."""
    folder = tmp_path_factory.mktemp("dino")
    torch.manual_seed(0)
    ViTModel(
        ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=32,
            patch_size=8,
        )
    ).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_the_keys_are_those_of_the_last_layer(dino: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    tower = Tower.load(str(dino))
    found = tower.keys([picture])
    network = ViTModel.from_pretrained(dino).eval()
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        states = network(pixel_values=x, output_hidden_states=True).hidden_states[-2]
    layers = dict(network.named_modules())
    norm = next(module for name, module in layers.items() if name.endswith("1.layernorm_before"))
    key = next(m for name, m in layers.items() if name.rpartition(".")[2] in ("key", "k_proj") and ".1." in f".{name}")
    with torch.no_grad():
        assert torch.allclose(found, key(norm(states)), atol=1e-4)
    assert found.shape == (1, 17, 32)


def test_a_vit_judges_structure_beside_a_clip_model_for_text(dino: Path) -> None:
    assert model_type(str(dino)) == "vit"
    words, tower = judges(["miniature", str(dino)], "cpu")
    assert words.name == "miniature" and tower.keys([np.zeros((32, 32, 3), np.uint8)]).shape[-1] == 32
    with pytest.raises(OptionError, match="one CLIP model for words"):
        judges([str(dino)], "cpu")
    words, tower = judges(["miniature"], "cpu")
    assert tower is words.tower


def test_a_model_that_cannot_judge_is_refused(tmp_path: Path, dino: Path) -> None:
    blip = tmp_path / "blip"
    blip.mkdir()
    (blip / "config.json").write_text('{"model_type": "blip"}')
    with pytest.raises(ModelError, match="accepted judges are a CLIP model, and a ViT for structure"):
        Judge(str(dino))
    with pytest.raises(ModelError, match="accepted are a CLIP model and a ViT"):
        Tower.load(str(blip))
    with pytest.raises(ModelError, match="no model at"):
        Judge(str(tmp_path / "nowhere"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="does not say which type of model"):
        Judge(str(tmp_path))


@pytest.mark.parametrize("damage", ["tokenizer.json", "processor_config.json", "model.safetensors", "config.json"])
def test_a_damaged_judge_is_refused(damage: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(WEIGHTS / "judge", tmp_path / "judge"))
    (folder / damage).write_text("[]")
    with pytest.raises(ModelError):
        Judge(str(folder))
    (folder / damage).unlink()
    with pytest.raises(ModelError):
        Judge(str(folder))


def test_a_vit_without_a_pooler_is_read(tmp_path: Path) -> None:
    """As of DINO: nothing after the last layer is used."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    ViTModel(ViTConfig(**sizes, image_size=16, patch_size=8), add_pooling_layer=False).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(tmp_path)
    assert Tower.load(str(tmp_path)).keys([np.zeros((16, 16, 3), np.uint8)]).shape == (1, 5, 8)
