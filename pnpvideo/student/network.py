"""The student's network: a picture and its context become the translated picture, in one forward pass.

It follows Co-Mod-GAN (arXiv 2103.10428), which pix2pix-zero (arXiv 2302.03027) distils its edits into: an encoder with
skip connections, and a decoder of modulated convolutions (StyleGAN2, arXiv 1912.04958). Two things differ, both for
speed and for video. The picture is folded to half its size and four times its channels, so that no layer works at full
size; and the modulation comes from a small copy of the whole picture instead of the encoder's deepest layer, so that it
is the same for a patch and for the whole.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnpvideo.errors import OptionError

CONTEXT = 64
"""Width and height in pixels of the copy of the whole picture that sets the modulation."""
FOLD = 2
"""The network works at 1 / FOLD of the picture's size."""
SLOPE = 0.2

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Shape:
    """The size of a generator.

    widths: channels at 1/2, 1/4, 1/8 ... of the picture's size. style: width of the vector that modulates. latent:
    width of a random code that varies the result; 0: none. position: the pixel's place is two more input channels.
    modulated: False: plain convolutions, for comparison.
    """

    widths: tuple[int, ...]
    style: int = 64
    latent: int = 0
    position: bool = False
    modulated: bool = True

    @property
    def multiple(self) -> int:
        """Widths and heights of pictures are multiples of this."""
        return FOLD << (len(self.widths) - 1)

    def plain(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "widths": list(self.widths)}


SHAPES: dict[str, Shape] = {
    "small": Shape((24, 32, 64, 96)),
    "large": Shape((32, 64, 128, 192)),
}
"""The sizes by name."""


def shape_called(name: str) -> Shape:
    """The shape of that name. Raises OptionError."""
    if name not in SHAPES:
        raise OptionError(f"there is no student of size {name!r}; accepted: {', '.join(SHAPES)}")
    return SHAPES[name]


class Generator(nn.Module):
    """Pictures (n, 3, h, w) in [-1, 1] -> pictures of the same shape; h and w are multiples of ``shape.multiple``."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        folded = 3 * FOLD**2
        widths = shape.widths
        self.context = _Context(shape)
        self.stem = nn.Conv2d(folded + 2 * shape.position, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_Down(wide, wider) for wide, wider in pairwise(widths))
        self.middle = _Residual(widths[-1])
        self.up = nn.ModuleList(
            _Up(wider, wide, shape) for wide, wider in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0] + folded, folded, 3, padding=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(
        self,
        pictures: Tensor,
        context: Tensor | None = None,
        place: Tensor | None = None,
        latent: Tensor | None = None,
    ) -> Tensor:
        """Translate pictures, or patches of them.

        context: (n, 3, CONTEXT, CONTEXT), see ``context_of``, of the whole pictures; None: of ``pictures``, which are
        whole. place: (n, 2, h, w), see ``place_of``; None: of whole pictures. latent: (n, latent) from the normal
        distribution; None: zeros.
        """
        if context is None:
            context = context_of(pictures)
        folded = F.pixel_unshuffle(pictures, FOLD)
        x = folded
        if self.shape.position:
            place = place_of(pictures) if place is None else place
            x = torch.cat([x, place[:, :, ::FOLD, ::FOLD]], 1)
        style = self.context(context, latent)
        x = F.leaky_relu(self.stem(x), SLOPE)
        skips = [x]
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.middle(skips.pop())
        for up in self.up:
            x = up(x, skips.pop(), style)
        return F.pixel_shuffle(self.head(torch.cat([x, folded], 1)), FOLD)


def context_of(pictures: Tensor) -> Tensor:
    """Whole pictures (n, 3, h, w) -> their small copies (n, 3, CONTEXT, CONTEXT)."""
    return F.interpolate(pictures, (CONTEXT, CONTEXT), mode="area")


def place_of(pictures: Tensor) -> Tensor:
    """The place of each pixel of whole pictures (n, 3, h, w): (n, 2, h, w), x and y in [-1, 1]."""
    count, _, height, width = pictures.shape
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, device=pictures.device),
        torch.linspace(-1, 1, width, device=pictures.device),
        indexing="ij",
    )
    return torch.stack([x, y]).to(pictures.dtype).expand(count, -1, -1, -1)


def parameters_of(network: nn.Module) -> int:
    """The number of weights of a network."""
    return sum(value.numel() for value in network.parameters())


def channels_last(network: Network) -> Network:
    """Lay out a network's weights so that convolutions of few channels run fast, in place."""
    for value in network.parameters():
        if value.ndim == 4:
            value.data = value.data.contiguous(memory_format=torch.channels_last)
    return network


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on GPUs that multiply matrices in it (from Ampere on) and on such processors (AMX), else float32."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def student_device(device: torch.device) -> torch.device:
    """The device of a student whose teacher is on ``device``: the same, but the CPU beside MPS.

    Average pooling to a size that does not divide the picture's is not implemented there (pytorch issue 96056), and
    border padding of ``grid_sample`` was not before torch 2.13 (issue 125098).
    """
    return torch.device("cpu") if device.type == "mps" else device


class _Context(nn.Module):
    """(n, 3, CONTEXT, CONTEXT) and a latent code -> the style (n, shape.style)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.latent = shape.latent
        self.encoder = nn.Sequential(
            *(
                layer
                for narrow, wide in ((3, 16), (16, 32), (32, shape.style))
                for layer in (nn.Conv2d(narrow, wide, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE))
            )
        )
        self.mapping = nn.Sequential(
            nn.Linear(shape.style + shape.latent, shape.style),
            nn.LeakyReLU(SLOPE),
            nn.Linear(shape.style, shape.style),
            nn.LeakyReLU(SLOPE),
        )

    def forward(self, context: Tensor, latent: Tensor | None) -> Tensor:
        seen = self.encoder(context).mean((2, 3))
        if self.latent:
            latent = seen.new_zeros(len(seen), self.latent) if latent is None else latent
            seen = torch.cat([seen, latent], 1)
        style: Tensor = self.mapping(seen)
        return style


class ModulatedConvolution(nn.Module):
    """A 3 x 3 convolution whose input channels are scaled by the style, and its output to unit variance.

    StyleGAN2, eq. 1 to 3. For several pictures the scales are applied to input and output instead of the weights, which
    is the same and needs no weights of their own for each.
    """

    def __init__(self, channels_in: int, channels_out: int, style: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, 3, 3) / (9 * channels_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.scales = nn.Linear(style, channels_in)
        nn.init.zeros_(self.scales.weight)
        nn.init.ones_(self.scales.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scales = self.scales(style)  # (n, channels in)
        power = self.weight.square().sum((2, 3))  # (channels out, channels in)
        normal = torch.rsqrt(scales.square() @ power.T + 1e-8)  # (n, channels out)
        if len(x) == 1:
            weight = self.weight * scales[:, :, None, None] * normal[0, :, None, None, None]
            return F.conv2d(x, weight, self.bias, padding=1)
        y = F.conv2d(x * scales[:, :, None, None], self.weight, padding=1)
        return y * normal[:, :, None, None] + self.bias[:, None, None]


class _Plain(nn.Module):
    """A convolution that takes a style and ignores it."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        result: Tensor = self.convolution(x)
        return result


class _Residual(nn.Module):
    """x + two convolutions; the identity at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.second(F.leaky_relu(self.first(x), SLOPE))
        return result


class _Down(nn.Module):
    """Half the size, more channels."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1)
        self.residual = _Residual(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.residual(F.leaky_relu(self.shrink(x), SLOPE))
        return result


class _Up(nn.Module):
    """Twice the size, fewer channels, joined with the encoder's layer of that size."""

    def __init__(self, channels_in: int, channels_out: int, shape: Shape) -> None:
        super().__init__()

        def convolution(wide: int, narrow: int) -> nn.Module:
            return ModulatedConvolution(wide, narrow, shape.style) if shape.modulated else _Plain(wide, narrow)

        self.first = convolution(channels_in + channels_out, channels_out)
        self.second = convolution(channels_out, channels_out)

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        x = torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1)
        x = F.leaky_relu(self.first(x, style), SLOPE)
        result: Tensor = F.leaky_relu(self.second(x, style), SLOPE)
        return result
