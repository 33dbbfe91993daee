"""Tiny ControlNets of random weights, and the naming of the original code.

The conversion goes from diffusers' names to the original ones, written from how the published files are laid out,
independently of the package's own, which goes back.
"""

import re
from pathlib import Path

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor

from tests.backends.originals import unet


def new_controlnet(network: UNet2DConditionModel, seed: int = 0) -> ControlNetModel:
    """A ControlNet for ``network`` that changes something: its zero convolutions are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = ControlNetModel.from_unet(network, conditioning_embedding_out_channels=(4, 4, 8, 8))
        for name, value in made.named_parameters():
            if name.startswith("controlnet_") and "blocks.0" not in name.replace("controlnet_down_blocks", ""):
                torch.nn.init.normal_(value, std=0.2)
    return made.eval().requires_grad_(False)


def write_controlnet(folder: Path, network: UNet2DConditionModel, seed: int = 0) -> Path:
    new_controlnet(network, seed).save_pretrained(folder)
    return folder


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a ControlNet by the names of the original code, without a prefix."""
    found, body = {}, {}
    last = max(int(name.split(".")[2]) for name in tensors if name.startswith("controlnet_cond_embedding.blocks."))
    ends = {"conv_in": 0, "conv_out": 2 * (last + 2)}
    for name, value in tensors.items():
        if match := re.match(r"controlnet_cond_embedding\.(?:blocks\.(\d+)|(conv_in|conv_out))\.(.*)", name):
            number = 2 * (int(match[1]) + 1) if match[1] else ends[match[2]]
            found[f"input_hint_block.{number}.{match[3]}"] = value
        elif match := re.match(r"controlnet_down_blocks\.(\d+)\.(.*)", name):
            found[f"zero_convs.{match[1]}.0.{match[2]}"] = value
        elif name.startswith("controlnet_mid_block."):
            found[name.replace("controlnet_mid_block.", "middle_block_out.0.")] = value
        else:
            body[name] = value
    return found | unet(body)
