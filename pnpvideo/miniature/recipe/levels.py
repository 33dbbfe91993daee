"""Which parts of a denoiser work: how much its error grows when the branches of one level of its U are cut.

A part that can be cut at no cost is dead weight. Beside it: how large each residual stream has grown, and the share
that its branches add to it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn

TIMESTEPS = (900, 700, 500, 300)


@dataclass(frozen=True)
class Probe:
    """What a network is looked into with: clean latents (n, c, h, w), their words (n, tokens, width), the schedule."""

    latents: Tensor
    context: Tensor
    alphas: Tensor


def branches(unet: UNet2DConditionModel) -> dict[str, nn.Module]:
    """The last layer of every residual branch, by its name: what is cut by making its answer zero."""
    found: dict[str, nn.Module] = {}
    for name, module in unet.named_modules():
        if isinstance(module, ResnetBlock2D):
            found[name] = module.conv2
        elif isinstance(module, Transformer2DModel):
            found[name] = module.proj_out
    return found


def level_of(name: str, depth: int) -> int:
    """How often the latent is halved where branch ``name`` works; ``depth``: at the bottom."""
    kind, number = name.split(".")[:2]
    if kind == "mid_block":
        return depth
    return int(number) if kind == "down_blocks" else depth - int(number)


@torch.no_grad()
def errors(unet: UNet2DConditionModel, probe: Probe, cut: Iterable[nn.Module] = ()) -> list[float]:
    """Mean square error of the predicted noise at each of TIMESTEPS, with the branches ``cut`` answering zero."""
    noise = torch.randn(probe.latents.shape, generator=torch.Generator().manual_seed(0)).to(probe.latents.device)
    found = []
    with _answering_zero(cut):
        for timestep in TIMESTEPS:
            alpha = probe.alphas[timestep]
            noisy = alpha.sqrt() * probe.latents + (1 - alpha).sqrt() * noise
            guess = unet(noisy, timestep, probe.context).sample
            found.append(float((guess.float() - noise).square().mean()))
    return found


def levels(unet: UNet2DConditionModel, probe: Probe) -> dict[str, Any]:
    """Errors of the whole network; growth of each (share) with a level's branches cut; stream and share by branch."""
    depth, parts = len(unet.config.block_out_channels) - 1, branches(unet)
    training = unet.training
    unet.eval()
    streams, shares = _streams(unet, probe)
    whole = errors(unet, probe)
    growth = {}
    for level in range(depth + 1):
        cut = [layer for name, layer in parts.items() if level_of(name, depth) == level]
        growth[f"level {level}"] = [round(a / b - 1, 4) for a, b in zip(errors(unet, probe, cut), whole, strict=True)]
    below = [layer for name, layer in parts.items() if level_of(name, depth) >= 2]
    growth["levels 2 and below"] = [round(a / b - 1, 4) for a, b in zip(errors(unet, probe, below), whole, strict=True)]
    unet.train(training)
    return {"errors": whole, "growth": growth, "streams": streams, "shares": shares}


@torch.no_grad()
def _streams(unet: UNet2DConditionModel, probe: Probe) -> tuple[dict[str, float], dict[str, float]]:
    """RMS of what each residual block gives, and of its branch as a share of that, at the middle of the schedule."""
    streams: dict[str, float] = {}
    shares: dict[str, float] = {}
    handles = []
    for name, last in branches(unet).items():
        block = unet.get_submodule(name)

        def remember(module: nn.Module, _: Any, answer: Any, name: str = name) -> None:
            streams[name] = _rms(answer if isinstance(answer, Tensor) else answer[0])

        def compare(module: nn.Module, _: Any, answer: Tensor, name: str = name) -> None:
            shares[name] = _rms(answer)

        handles += [block.register_forward_hook(remember), last.register_forward_hook(compare)]
    try:
        alpha = probe.alphas[500]
        noise = torch.randn(probe.latents.shape, generator=torch.Generator().manual_seed(0)).to(probe.latents.device)
        unet(alpha.sqrt() * probe.latents + (1 - alpha).sqrt() * noise, 500, probe.context)
    finally:
        for handle in handles:
            handle.remove()
    return streams, {name: round(shares[name] / max(1e-9, streams[name]), 3) for name in shares}


def _rms(x: Tensor) -> float:
    return round(float(x.float().square().mean().sqrt()), 3)


@contextmanager
def _answering_zero(layers: Iterable[nn.Module]) -> Iterator[None]:
    handles = [layer.register_forward_hook(lambda module, given, answer: torch.zeros_like(answer)) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
