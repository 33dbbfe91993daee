"""Merge LoRAs into a network's weights: W + scale * alpha / rank * up @ down (arXiv 2106.09685, section 4.1)."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pnpvideo.backends.fingerprint import sha256
from pnpvideo.backends.ldm_names import diffusers_layer
from pnpvideo.backends.lora_file import Factors, LoraFile
from pnpvideo.backends.model_files import first_line
from pnpvideo.errors import ModelError


@torch.no_grad()
def merge_loras(loras: Sequence[LoraFile], network: Any, part: str) -> None:
    """Change the weights of ``network`` in place; they must be in fp32, so that the sum is exact before it is rounded.

    part: "unet" or the name of a text encoder. Raises ModelError for a LoRA whose layers the network lacks or has in
    other sizes.
    """
    modules: dict[str, nn.Module] = {
        name.replace(".", "_").removeprefix("text_model_"): each for name, each in network.named_modules()
    }
    for lora in loras:
        try:
            with safe_open(lora.path, framework="pt") as file:
                for layer, factors in lora.layers[part].items():
                    name = diffusers_layer(layer, network.config.layers_per_block) if part == "unet" else layer
                    weight = getattr(modules.get(name), "weight", None)
                    if not isinstance(weight, Tensor):
                        raise ModelError(
                            f"{lora.path} changes the layer {layer}, which the model's {part} has not; it was made for "
                            "another model"
                        )
                    weight += lora.scale * _change(lora, layer, factors, file, weight)
        except (SafetensorError, OSError, ValueError) as damaged:
            raise ModelError(f"{lora.path} cannot be loaded as safetensors: {first_line(damaged)}") from damaged


def _change(lora: LoraFile, layer: str, factors: Factors, file: Any, weight: Tensor) -> Tensor:
    """alpha / rank * up @ down, in the weight's shape, fp32."""
    up, down = (file.get_tensor(name).to(weight.device, torch.float32) for name in (factors.up, factors.down))
    rank, shape = len(down), (up.shape[0], *down.shape[1:])
    if shape != weight.shape and (shape[0], math.prod(shape[1:])) != (weight.shape[0], weight[0].numel()):
        raise ModelError(
            f"{lora.path} is a LoRA for {lora.family}: it changes the layer {layer} of shape {tuple(shape)}, and the "
            f"model's is {tuple(weight.shape)}; accepted is a LoRA for the model's own family"
        )
    ratio = factors.ratio if factors.alpha is None else float(file.get_tensor(factors.alpha).float().mean()) / rank
    change: Tensor = ratio * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    if not bool(change.isfinite().all()):
        raise ModelError(f"{lora.path}: the change of the layer {layer} is not finite; the file is damaged")
    return change


def loras_of(stated: Sequence[tuple[str, float]]) -> tuple[LoraFile, ...]:
    """Read the headers of LoRAs, by (file, scale). Raises ModelError."""
    return tuple(LoraFile.of(Path(path), scale) for path, scale in stated)


def lora_fingerprint(loras: Sequence[LoraFile]) -> str:
    """sha256 of contents and scales; file names make no difference."""
    return hashlib.sha256(repr([(sha256(lora.path), float(lora.scale)) for lora in loras]).encode()).hexdigest()
