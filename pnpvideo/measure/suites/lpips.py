"""LPIPS (Zhang et al., arXiv 1801.03924), with the trunk of SqueezeNet 1.1, from a safetensors file."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pnpvideo.errors import ModelError
from pnpvideo.measure.suites.squeeze import CHANNELS, trunk

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Normalisation of pixels in [-1, 1] that the heads were trained with."""
HOW = (
    "make a file of the weights once, where the network can be reached: pip install lpips torchvision; "
    'python -c "import lpips; from safetensors.torch import save_model; '
    "save_model(lpips.LPIPS(net='squeeze'), 'lpips.safetensors')\"; then give --lpips lpips.safetensors"
)


class Lpips:
    """path: a safetensors file with the tensors of ``lpips.LPIPS(net="squeeze")``. Raises ModelError."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{path} cannot be read as LPIPS weights: {error}; {HOW}") from error
        self.device, self.slices = device, trunk()
        prefix = "net."
        stated = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        try:
            self.slices.load_state_dict(stated)
            self.heads = [tensors[f"lin{n}.model.1.weight"].reshape(1, width, 1, 1) for n, width in enumerate(CHANNELS)]
        except (RuntimeError, KeyError) as error:
            why = str(error).splitlines()[-1].strip()
            raise ModelError(f"{path} has not the tensors of LPIPS with SqueezeNet: {why}; {HOW}") from error
        self.slices.to(device).eval().requires_grad_(False)
        self.heads = [head.float().to(device) for head in self.heads]

    @torch.no_grad()
    def layers(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """The distance at each place of each layer, (h', w') each. a, b: (3, h, w) in [-1, 1]."""
        shift, scale = (torch.tensor(values, device=self.device).reshape(1, 3, 1, 1) for values in (SHIFT, SCALE))
        x, y = ((each[None].float().to(self.device) - shift) / scale for each in (a, b))
        found = []
        for layer, head in zip(self.slices.children(), self.heads, strict=True):
            x, y = layer(x), layer(y)
            found.append((head * (_unit(x) - _unit(y)).square()).sum(1)[0].cpu())
        return found

    def distance(self, a: Tensor, b: Tensor) -> float:
        """Mean over places, sum over layers; >= 0."""
        return float(sum(layer.mean() for layer in self.layers(a, b)))

    def map(self, a: Tensor, b: Tensor) -> Tensor:
        """The distance at each pixel, (h, w): the layers, each enlarged to the picture, summed."""
        size = a.shape[-2:]
        layers = (layer[None, None] for layer in self.layers(a, b))
        enlarged = [nn.functional.interpolate(layer, size, mode="bilinear", align_corners=False) for layer in layers]
        return torch.cat(enlarged).sum(0)[0]


def _unit(x: Tensor) -> Tensor:
    """Features (n, c, h, w) with vectors of length 1 at each place."""
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
