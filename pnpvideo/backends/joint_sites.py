"""The sites of a transformer over the tokens of picture and text, and what they are for."""

from diffusers import SD3Transformer2DModel

from pnpvideo.injection import Kind, Role, Site


def joint_sites(network: SD3Transformer2DModel) -> list[Site]:
    """The attentions of every block, as self-attention of the picture's tokens, and its feed-forward branch.

    ReFlex (ICCV 2025) takes attention among the picture's tokens and residual features of chosen blocks from the
    source. Chosen here, in parallel to Plug-and-Play's place in a UNet: features of the first block of the second half,
    and attention from there on.
    """
    sites, middle = [], len(network.transformer_blocks) // 2
    for layer, block in enumerate(network.transformer_blocks):
        attention = frozenset({Role.STRUCTURE_ATTENTION} if layer >= middle else ())
        features = frozenset({Role.STRUCTURE_FEATURES} if layer == middle else ())
        path = f"transformer_blocks.{layer}"
        sites.append(Site(f"{path}.attn", Kind.SELF, "transformer", layer, attention))
        if block.attn2 is not None:
            sites.append(Site(f"{path}.attn2", Kind.SELF, "transformer", layer, attention))
        sites.append(Site(f"{path}.ff", Kind.RESIDUAL, "transformer", layer, features))
    return sites
