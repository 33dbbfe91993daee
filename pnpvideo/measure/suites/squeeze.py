"""The feature layers of SqueezeNet 1.1 (Iandola et al., arXiv 1602.07360), in the seven slices that LPIPS reads."""

import torch
from torch import Tensor, nn

CHANNELS = (64, 128, 256, 384, 384, 512, 512)
"""Channels that each slice puts out."""


class Fire(nn.Module):
    """Squeeze to few channels, then expand by filters of 1 x 1 and of 3 x 3."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


def trunk() -> nn.Sequential:
    """slice1 to slice7; layers are named by their number in SqueezeNet, as in the weights."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    slices: list[dict[str, nn.Module]] = [
        {"0": nn.Conv2d(3, 64, 3, 2), "1": nn.ReLU()},
        {"2": pool(), "3": Fire(64, 16, 64), "4": Fire(128, 16, 64)},
        {"5": pool(), "6": Fire(128, 32, 128), "7": Fire(256, 32, 128)},
        {"8": pool(), "9": Fire(256, 48, 192)},
        {"10": Fire(384, 48, 192)},
        {"11": Fire(384, 64, 256)},
        {"12": Fire(512, 64, 256)},
    ]
    whole = nn.Sequential()
    for number, layers in enumerate(slices, 1):
        part = nn.Sequential()
        for name, layer in layers.items():
            part.add_module(name, layer)
        whole.add_module(f"slice{number}", part)
    return whole
