"""Ablation of a denoiser: how much its error grows without the residual branches of one level of the UNet.

Branches that can be removed at no cost are not used. Also measured: the size of each residual stream, and of the branch
that was added to it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn

TIMESTEPS = (900, 700, 500, 300)


@dataclass(frozen=True)
class ProbeBatch:
    """A fixed batch: clean latents (n, c, h, w), text embeddings (n, tokens, width) of their captions and of the empty
    caption, and alphas of all timesteps."""

    latents: Tensor
    context: Tensor
    empty: Tensor
    alphas: Tensor


def branches(unet: UNet2DConditionModel) -> dict[str, nn.Module]:
    """The last layer of every residual branch, by the name of its block; zeroing its output removes the branch."""
    found: dict[str, nn.Module] = {}
    for name, module in unet.named_modules():
        if isinstance(module, ResnetBlock2D):
            found[name] = module.conv2
        elif isinstance(module, Transformer2DModel):
            found[name] = module.proj_out
    return found


def level_of(name: str, depth: int) -> int:
    """The level of branch ``name``: how often the latent is halved there. depth: the lowest level."""
    kind, number = name.split(".")[:2]
    if kind == "mid_block":
        return depth
    return int(number) if kind == "down_blocks" else depth - int(number)


@torch.no_grad()
def noise_errors(unet: UNet2DConditionModel, probe: ProbeBatch, removed: Iterable[nn.Module] = ()) -> list[float]:
    """Mean squared error of the predicted noise at each of TIMESTEPS. removed: layers whose output is set to zero."""
    with _zeroed_outputs(removed):
        return [float(error.square().mean()) for error in _errors(unet, probe)]


@torch.no_grad()
def mean_errors(unet: UNet2DConditionModel, probe: ProbeBatch) -> list[float]:
    """Squared error of the predicted noise's mean over all positions, at each of TIMESTEPS, times their number.

    About 1 for a network that predicts zeros, 0 for a perfect one. The mean holds the brightness and colour of the
    whole picture, so it shows early whether the network reads captions.
    """
    positions = probe.latents.shape[-2:].numel()
    return [positions * float(error.mean((2, 3)).square().mean()) for error in _errors(unet, probe)]


def _errors(unet: UNet2DConditionModel, probe: ProbeBatch) -> Iterator[Tensor]:
    """Predicted minus true noise, (n, c, h, w), at each of TIMESTEPS."""
    noise = torch.randn(probe.latents.shape, generator=torch.Generator().manual_seed(0)).to(probe.latents.device)
    for timestep in TIMESTEPS:
        alpha = probe.alphas[timestep]
        noisy = alpha.sqrt() * probe.latents + (1 - alpha).sqrt() * noise
        yield unet(noisy, timestep, probe.context).sample.float() - noise


def ablate_levels(unet: UNet2DConditionModel, probe: ProbeBatch) -> dict[str, Any]:
    """A table for the log.

    errors: of the whole network, at each of TIMESTEPS. mean_errors: see there. growth: level -> relative growth
    of each error without the branches of that level; "empty caption" -> with that instead of the right one. streams:
    block -> RMS of its output. shares: block -> RMS of its branch over that.
    """
    depth, parts = len(unet.config.block_out_channels) - 1, branches(unet)
    training = unet.training
    unet.eval()
    streams, shares = _streams(unet, probe)
    errors = noise_errors(unet, probe)

    def growth(levels: range) -> list[float]:
        removed = [layer for name, layer in parts.items() if level_of(name, depth) in levels]
        return over(noise_errors(unet, probe, removed))

    def over(larger: list[float]) -> list[float]:
        return [round(a / b - 1, 4) for a, b in zip(larger, errors, strict=True)]

    table = {f"level {level}": growth(range(level, level + 1)) for level in range(depth + 1)}
    table["levels 2 and below"] = growth(range(2, depth + 1))
    table["empty caption"] = over(noise_errors(unet, replace(probe, context=probe.empty)))
    of_means = mean_errors(unet, probe)
    unet.train(training)
    return {"errors": errors, "mean_errors": of_means, "growth": table, "streams": streams, "shares": shares}


@torch.no_grad()
def _streams(unet: UNet2DConditionModel, probe: ProbeBatch) -> tuple[dict[str, float], dict[str, float]]:
    """RMS of the output of each residual block, and of its branch as a share of that, at timestep 500."""
    streams: dict[str, float] = {}
    shares: dict[str, float] = {}
    handles = []
    for name, last in branches(unet).items():
        block = unet.get_submodule(name)

        def record_block(module: nn.Module, _: Any, output: Any, name: str = name) -> None:
            streams[name] = _rms(output if isinstance(output, Tensor) else output[0])

        def record_branch(module: nn.Module, _: Any, output: Tensor, name: str = name) -> None:
            shares[name] = _rms(output)

        handles += [block.register_forward_hook(record_block), last.register_forward_hook(record_branch)]
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
def _zeroed_outputs(layers: Iterable[nn.Module]) -> Iterator[None]:
    handles = [layer.register_forward_hook(lambda module, args, output: torch.zeros_like(output)) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
