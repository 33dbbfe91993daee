"""The sites of a transformer over the tokens of picture and text, and what they are for."""

from diffusers import SD3Transformer2DModel

from pnpvideo.injection import Kind, Role, Site

FEATURES = (13 / 57, 20 / 57)
ATTENTION = (20 / 57, 45 / 57)
"""Shares of the depth between which ReFlex (arXiv 2507.01496) takes residual features and attention among the picture's
tokens from the source: of FLUX's 57 blocks, in its authors' code. It has no numbers for Stable Diffusion 3."""


def joint_sites(network: SD3Transformer2DModel) -> list[Site]:
    """The attentions of every block, as self-attention of the picture's tokens, and its feed-forward branch.

    Roles go by a block's position (FEATURES, ATTENTION): of 24 blocks, features of 5 to 7 and attention of 8 to 18.
    """
    depth = len(network.transformer_blocks)
    structure, attending = _between(*FEATURES, depth), _between(*ATTENTION, depth)
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
