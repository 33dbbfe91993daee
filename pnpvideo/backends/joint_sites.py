"""The sites of a transformer over the tokens of picture and text, and what they are for."""

from collections.abc import Sequence

from diffusers import SD3Transformer2DModel

from pnpvideo.backends.sites import check_layers
from pnpvideo.injection import Kind, Role, Site

FEATURES = (13 / 57, 20 / 57)
ATTENTION = (20 / 57, 45 / 57)
"""Shares of the depth between which ReFlex (arXiv 2507.01496) takes residual features and attention among the picture's
tokens from the source: of FLUX's 57 blocks, in its authors' code. It has no numbers for Stable Diffusion 3."""


def joint_sites(network: SD3Transformer2DModel, structure_layers: Sequence[int] | None = None) -> list[Site]:
    """The attentions of every block, as self-attention of the picture's tokens, and its feed-forward branch.

    Roles go by a block's position (FEATURES, ATTENTION): of 24 blocks, features of 5 to 7 and attention of 8 to 18.
    structure_layers: blocks whose features are taken instead (see Card). Raises ModelError for one that is not there.
    """
    depth = len(network.transformer_blocks)
    attending = _between(*ATTENTION, depth)
    structure = _between(*FEATURES, depth) if structure_layers is None else structure_layers
    check_layers(structure, depth, "blocks")
    sites = []
    for layer, block in enumerate(network.transformer_blocks):
        attention = frozenset({Role.STRUCTURE_ATTENTION} if layer in attending else ())
        features = frozenset({Role.STRUCTURE_FEATURES} if layer in structure else ())
        path = f"transformer_blocks.{layer}"
        sites.append(Site(f"{path}.attn", Kind.SELF, "transformer", layer, attention))
        if block.attn2 is not None:
            sites.append(Site(f"{path}.attn2", Kind.SELF, "transformer", layer, attention))
        sites.append(Site(f"{path}.ff", Kind.RESIDUAL, "transformer", layer, features))
    return sites


def _between(start: float, end: float, depth: int) -> range:
    """The layers between two shares of the depth, at least one."""
    first = min(round(start * depth), depth - 1)
    return range(first, max(round(end * depth), first + 1))
