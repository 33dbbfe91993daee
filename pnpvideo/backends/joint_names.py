"""The names that Stable Diffusion 3's original code gives to tensors, as diffusers and transformers name them.

Only names are read here, as in ldm_names, which has those of the autoencoder.
"""

from collections.abc import Iterable

from pnpvideo.backends.ldm_names import NETWORK, Origin, Origins

BLOCKS = "joint_blocks."
CLIPS = {"text_encoder": "text_encoders.clip_l.transformer.", "text_encoder_2": "text_encoders.clip_g.transformer."}
"""Text encoder -> its prefix. Behind it, names are those of transformers."""
T5 = "text_encoders.t5xxl."

_ENDS = {
    "x_embedder.proj": "pos_embed.proj",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "context_embedder": "context_embedder",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
    "final_layer.linear": "proj_out",
}
_POSITIONS = {"pos_embed": "pos_embed.pos_embed"}
_BLOCK = {
    "x_block.adaLN_modulation.1": "norm1.linear",
    "x_block.attn.ln_q": "attn.norm_q",
    "x_block.attn.ln_k": "attn.norm_k",
    "x_block.attn.proj": "attn.to_out.0",
    "x_block.attn2.ln_q": "attn2.norm_q",
    "x_block.attn2.ln_k": "attn2.norm_k",
    "x_block.attn2.proj": "attn2.to_out.0",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
    "context_block.adaLN_modulation.1": "norm1_context.linear",
    "context_block.attn.ln_q": "attn.norm_added_q",
    "context_block.attn.ln_k": "attn.norm_added_k",
    "context_block.attn.proj": "attn.to_add_out",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
}
_PACKED = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_STARTS = (BLOCKS, *_POSITIONS, *(f"{layer}." for layer in _ENDS))


def is_joint_network(names: Iterable[str]) -> bool:
    """Do these names have Stable Diffusion 3's network among them, with its prefix or without?"""
    return any(name.startswith((BLOCKS, NETWORK + BLOCKS)) for name in names)


def transformer_origins(names: Iterable[str]) -> Origins:
    """The network of a file with these tensor names; empty if it has none. What is unknown has its own name."""
    names = list(names)
    prefix = NETWORK if any(name.startswith(NETWORK) for name in names) else ""
    own = [name.removeprefix(prefix) for name in names if name.startswith(NETWORK if prefix else _STARTS)]
    numbers = [name.split(".")[1] for name in own if name.startswith(BLOCKS)]
    last = max((int(number) for number in numbers if number.isdecimal()), default=0)
    found: dict[str, Origin] = {}
    for name in own:
        found |= _origins_of(name, prefix + name, last)
    return found


def _origins_of(name: str, in_file: str, last: int) -> dict[str, Origin]:
    """Converted name -> origin, of one tensor. last: number of the last block.

    Where the text is read for the last time (that block, and the final layer for the picture), the original code puts
    the shift before the scale, and diffusers the scale before the shift.
    """
    layer, _, end = name.rpartition(".")
    if not name.startswith(BLOCKS):
        new = _POSITIONS.get(name) or (f"{_ENDS[layer]}.{end}" if layer in _ENDS else name)
        return {new: Origin(in_file, halves_swapped=layer == "final_layer.adaLN_modulation.1")}
    number, _, inner = layer.removeprefix(BLOCKS).partition(".")
    block = f"transformer_blocks.{number}"
    if inner in _PACKED:
        return {f"{block}.{part}.{end}": Origin(in_file, third) for third, part in enumerate(_PACKED[inner])}
    swapped = inner == "context_block.adaLN_modulation.1" and number == str(last)
    new = f"{block}.{_BLOCK[inner]}.{end}" if inner in _BLOCK else name
    return {new: Origin(in_file, halves_swapped=swapped)}


def clip_origins(names: Iterable[str], part: str) -> Origins:
    """A CLIP text encoder; empty if absent. part: a key of CLIPS.

    The first is without its projection, which the original code does not apply.
    """
    wanted = ("text_model.",) if part == "text_encoder" else ("text_model.", "text_projection.")
    own = {name.removeprefix(CLIPS[part]): Origin(name) for name in names if name.startswith(CLIPS[part])}
    return {
        name: origin for name, origin in own.items() if name.startswith(wanted) and not name.endswith("position_ids")
    }
