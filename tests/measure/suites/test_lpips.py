"""LPIPS against a plain reference, and files that are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from pnpvideo.errors import ModelError
from pnpvideo.measure.suites.lpips import Lpips
from pnpvideo.measure.suites.squeeze import CHANNELS, Fire, trunk

FIRES = {2: ("3", "4"), 3: ("6", "7"), 4: ("9",), 5: ("10",), 6: ("11",), 7: ("12",)}


def plain_layers(tensors: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """The seven outputs of SqueezeNet 1.1, by calls of functions on the file's tensors."""
    found = [functional.conv2d(x, tensors["net.slice1.0.weight"], tensors["net.slice1.0.bias"], stride=2).relu()]
    for number, fires in FIRES.items():
        y = functional.max_pool2d(found[-1], 3, 2, ceil_mode=True) if number < 5 else found[-1]
        for fire in fires:
            name = f"net.slice{number}.{fire}"
            y = functional.conv2d(y, tensors[f"{name}.squeeze.weight"], tensors[f"{name}.squeeze.bias"]).relu()
            one = functional.conv2d(y, tensors[f"{name}.expand1x1.weight"], tensors[f"{name}.expand1x1.bias"])
            nine = functional.conv2d(
                y, tensors[f"{name}.expand3x3.weight"], tensors[f"{name}.expand3x3.bias"], padding=1
            )
            y = torch.cat([one, nine], 1).relu()
        found.append(y)
    return found


def test_the_distance_is_that_of_the_paper(lpips_file: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = (2 * torch.rand(3, 64, 48, generator=generator) - 1 for _ in range(2))
    tensors, expected = load_file(lpips_file), 0.0
    shift = torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1)
    both = [plain_layers(tensors, (x[None] - shift) / scale) for x in (a, b)]
    for number, (x, y) in enumerate(zip(*both, strict=True)):
        x, y = (each / each.norm(dim=1, keepdim=True) for each in (x, y))
        weights = tensors[f"lin{number}.model.1.weight"]
        expected += float(functional.conv2d((x - y) ** 2, weights).mean())
    lpips = Lpips(lpips_file)
    assert lpips.distance(a, b) == pytest.approx(expected, abs=1e-4)
    assert lpips.distance(a, a) == 0
    assert lpips.map(a, b).shape == (64, 48) and float(lpips.map(a, a).abs().max()) == 0


def test_the_map_shows_where_pictures_differ(lpips_file: Path) -> None:
    a = torch.zeros(3, 96, 96)
    b = a.clone()
    b[:, :16, :16] = 1
    found = Lpips(lpips_file).map(a, b)
    assert float(found[:16, :16].mean()) > 5 * float(found[64:, 64:].mean())


def test_the_trunk_has_the_channels_that_the_heads_take() -> None:
    x, widths = torch.zeros(1, 3, 64, 64), []
    for part in trunk():
        x = part(x)
        widths.append(x.shape[1])
    assert tuple(widths) == CHANNELS
    assert Fire(8, 2, 4)(torch.zeros(1, 8, 5, 5)).shape == (1, 8, 5, 5)


def test_a_file_without_the_tensors_is_refused(lpips_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be read as LPIPS weights.*pip install lpips"):
        Lpips(tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ModelError, match="cannot be read as LPIPS weights"):
        Lpips(tmp_path / "text.safetensors")
    tensors = load_file(lpips_file)
    for name in ("lin3.model.1.weight", "net.slice4.9.squeeze.bias"):
        save_file({key: value for key, value in tensors.items() if key != name}, tmp_path / "part.safetensors")
        with pytest.raises(ModelError, match="has not the tensors of LPIPS with SqueezeNet"):
            Lpips(tmp_path / "part.safetensors")
    save_file({"weight": torch.from_numpy(np.zeros(3, np.float32))}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="has not the tensors"):
        Lpips(tmp_path / "other.safetensors")
