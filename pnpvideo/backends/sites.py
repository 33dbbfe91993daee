"""The sites of a UNet of diffusers, and what they are for."""

from collections.abc import Sequence
from typing import Any

from diffusers import UNet2DConditionModel

from pnpvideo.errors import ModelError
from pnpvideo.injection import Kind, Role, Site


def sites_of(network: UNet2DConditionModel, structure_layers: Sequence[int] | None = None) -> list[Site]:
    """All self- and cross-attentions and residual branches, in execution order.

    Plug-and-Play (arXiv 2211.12572) injects the features of Stable Diffusion 1.x's decoder layer 4, and self-attention
    from there on. That is the second layer of the decoder's coarsest block with attention, at a quarter of the latents'
    width; in other UNets, Stable Diffusion XL among them, the same position is meant. structure_layers: decoder layers
    whose features are injected instead (see Card). Raises ModelError for a layer that is not there.
    """
    middle = [("mid_block", network.mid_block)] if network.mid_block is not None else []
    parts = [
        ("encoder", [(f"down_blocks.{i}", block) for i, block in enumerate(network.down_blocks)]),
        ("middle", middle),
        ("decoder", [(f"up_blocks.{i}", block) for i, block in enumerate(network.up_blocks)]),
    ]
    published = _feature_layer(network.up_blocks)
    structural = (published,) if structure_layers is None else structure_layers
    check_layers(structural, sum(len(block.resnets) for block in network.up_blocks), "decoder layers")
    sites = []
    for part, blocks in parts:
        layer = 0
        for path, block in blocks:
            attentions = getattr(block, "attentions", None) or []
            for j in range(len(block.resnets)):
                structure = frozenset({Role.STRUCTURE_FEATURES} if part == "decoder" and layer in structural else ())
                attention = frozenset({Role.STRUCTURE_ATTENTION} if part == "decoder" and layer >= published else ())
                sites.append(Site(f"{path}.resnets.{j}.conv2", Kind.RESIDUAL, part, layer, structure))
                if j < len(attentions):
                    for k in range(len(attentions[j].transformer_blocks)):
                        inner = f"{path}.attentions.{j}.transformer_blocks.{k}"
                        sites.append(Site(f"{inner}.attn1", Kind.SELF, part, layer, attention))
                        sites.append(Site(f"{inner}.attn2", Kind.CROSS, part, layer))
                layer += 1
    return sites


def check_layers(layers: Sequence[int], count: int, name: str) -> None:
    """Raise ModelError if one of ``layers`` is not below ``count``. name: what is counted, for the message."""
    if beyond := [layer for layer in layers if layer >= count]:
        raise ModelError(f"pnpvideo.json: structure_layers has {beyond[0]}; the network has {name} 0 to {count - 1}")


def _feature_layer(blocks: Any) -> int:
    """The second layer of the first decoder block with attention; beyond the last layer where there is no such."""
    layer = 0
    for block in blocks:
        if getattr(block, "attentions", None):
            return layer + min(1, len(block.resnets) - 1)
        layer += len(block.resnets)
    return layer
