"""Small data in the layouts of the public sets, and judges of random weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import ViTConfig, ViTImageProcessor, ViTModel

from pnpvideo.measure.suites.squeeze import CHANNELS, trunk


def picture(seed: int, side: int = 512) -> np.ndarray:
    """A smooth picture of random colours, (side, side, 3) uint8."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def pie_row(**changes: Any) -> dict[str, Any]:
    """A row of mapping_file.json."""
    usual = {
        "image_path": "1_change_object_80/000.jpg",
        "original_prompt": "a [red] ball on grass",
        "editing_prompt": "a [blue] ball on grass",
        "editing_instruction": "make the ball blue",
        "editing_type_id": "1",
        "blended_word": "ball ball",
        "mask": [512 * 100 + 100, 300, 512 * 101 + 100, 300],
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def write_pie(folder: Path, rows: dict[str, Any]) -> Path:
    """PIE-Bench's folder, with a picture for every row that names one below annotation_images."""
    for number, row in enumerate(rows.values()):
        path = folder / "annotation_images" / str(row.get("image_path", "0.jpg"))
        if path.is_relative_to(folder) and ".." not in path.parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(number)).save(path)
    (folder / "mapping_file.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT of DINO's kind with random weights, for 32 pixels."""
    folder = tmp_path_factory.mktemp("vit")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ViTConfig(**sizes, image_size=32, patch_size=8)
        ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def lpips_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random tensors under the names of lpips.LPIPS(net="squeeze")."""
    path = tmp_path_factory.mktemp("lpips") / "lpips.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = {f"net.{name}": value for name, value in trunk().state_dict().items()}
        heads = {f"lin{number}.model.1.weight": torch.rand(1, width, 1, 1) for number, width in enumerate(CHANNELS)}
    save_file({**tensors, **heads, "scaling_layer.shift": torch.zeros(1, 3, 1, 1)}, path)
    return path


WILD = """
- init_img: data/horse.png
  target_prompts:
    - a photo of a bronze
        horse
    - a drawing of a horse
- init_img: data/cat.png
  source_prompt: a cat
  target_prompts: [no]
- seed: 50
  target_prompts: [a photo of a dog]
"""


def write_wild(folder: Path, text: str = WILD) -> Path:
    data = folder / "wild-ti2i" / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name in ("horse", "cat"):
        Image.fromarray(picture(1, 64)).save(data / f"{name}.png")
    (folder / "wild-ti2i" / "wild-ti2i-real.yaml").write_text(text, encoding="utf-8")
    return folder
