"""The names that Stable Diffusion's original code (LDM, SGM, OpenCLIP) gives to tensors, as diffusers names them.

Only names are read here, so the same functions serve the headers of a file and its weights.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

NETWORK, AUTOENCODER = "model.diffusion_model.", "first_stage_model."
AVERAGED = "model_ema.diffusion_model"
CONTROL, HINT = "control_model.", "input_hint_block."
CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
XL_CLIP, XL_OPEN_CLIP = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."


@dataclass(frozen=True)
class Origin:
    """Where a converted tensor comes from: a tensor of the file, or a third of one along its first axis.

    flat: a 1 x 1 convolution in the file, (out, in, 1, 1), and a linear layer (out, in) in diffusers. transposed: a
    matrix (in, out) in the file, and (out, in) in transformers. halves_swapped: the two halves along the first axis are
    the other way round in diffusers.
    """

    name: str
    third: int | None = None
    flat: bool = False
    transposed: bool = False
    halves_swapped: bool = False


Origins = Mapping[str, Origin]
"""Name of a tensor in diffusers or transformers -> its origin in the file."""

_RESNET = (
    ("in_layers.0.", "norm1."),
    ("in_layers.2.", "conv1."),
    ("emb_layers.1.", "time_emb_proj."),
    ("out_layers.0.", "norm2."),
    ("out_layers.3.", "conv2."),
    ("skip_connection.", "conv_shortcut."),
)
_NETWORK_ENDS = (
    ("time_embed.0.", "time_embedding.linear_1."),
    ("time_embed.2.", "time_embedding.linear_2."),
    ("label_emb.0.0.", "add_embedding.linear_1."),
    ("label_emb.0.2.", "add_embedding.linear_2."),
    ("input_blocks.0.0.", "conv_in."),
    ("out.0.", "conv_norm_out."),
    ("out.2.", "conv_out."),
    ("middle_block.0.", "mid_block.resnets.0."),
    ("middle_block.1.", "mid_block.attentions.0."),
    ("middle_block.2.", "mid_block.resnets.1."),
)
_PIXEL_MIDDLE = (
    (".mid.block_1.", ".mid_block.resnets.0."),
    (".mid.block_2.", ".mid_block.resnets.1."),
    (".mid.attn_1.", ".mid_block.attentions.0."),
    (".norm_out.", ".conv_norm_out."),
    (".nin_shortcut.", ".conv_shortcut."),
)
_PIXEL_ATTENTION = (  # the original names, then those that diffusers used first
    ("attentions.0.norm.", "attentions.0.group_norm."),
    ("attentions.0.q.", "attentions.0.to_q."),
    ("attentions.0.k.", "attentions.0.to_k."),
    ("attentions.0.v.", "attentions.0.to_v."),
    ("attentions.0.proj_out.", "attentions.0.to_out.0."),
    ("attentions.0.query.", "attentions.0.to_q."),
    ("attentions.0.key.", "attentions.0.to_k."),
    ("attentions.0.value.", "attentions.0.to_v."),
    ("attentions.0.proj_attn.", "attentions.0.to_out.0."),
)
_ORIGINAL_STARTS = ("input_blocks_", "output_blocks_", "middle_block_", "time_embed_", "label_emb_", "out_")
_TEXT = (
    ("token_embedding.", "embeddings.token_embedding."),
    ("positional_embedding", "embeddings.position_embedding.weight"),
    ("ln_final.", "final_layer_norm."),
    ("transformer.resblocks.", "encoder.layers."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
    (".attn.", ".self_attn."),
)


_AVERAGED = re.compile(r"(?:(input_blocks|output_blocks)(\d+)(\d)|(middle_block)(\d))?(.*?)(weight|bias)")
_AVERAGED_PART = re.compile(
    r"in_layers|emb_layers|out_layers|skip_connection|time_embed|label_emb|proj_in|proj_out|transformer_blocks|"
    r"to_(?:q|k|v|out)|attn[12]|norm[123]?|out|op|conv|ff|net|proj|(?<=label_emb)\d|\d+"
)


def averages(names: Iterable[str]) -> dict[str, str]:
    """The UNet's name of each of its averaged tensors -> that in the file, of a file that has no plain ones; else {}.

    The original code stores averages as ``model_ema.``, and the plain name without its dots.
    """
    names = list(names)
    if any(name.startswith(NETWORK) for name in names):
        return {}
    own = {_with_dots(name.removeprefix(AVERAGED)): name for name in names if name.startswith(AVERAGED)}
    return {f"{NETWORK}{dotted}": name for dotted, name in own.items()}


def _with_dots(flat: str) -> str:
    """As ``input_blocks.1.0.in_layers.2.weight`` of ``input_blocks10in_layers2weight``; unknown names as they are."""
    found = _AVERAGED.fullmatch(flat)
    if found is None:
        return flat
    *block, inner, end = found.groups()
    parts = _AVERAGED_PART.findall(inner)
    return ".".join((*filter(None, block), *parts, end)) if "".join(parts) == inner else flat


def network_origins(names: Iterable[str]) -> Origins:
    """The UNet of a file with these tensor names, of averaged weights where it has no others; empty if it has none."""
    names = list(names)
    found = {name: name for name in names if name.startswith(NETWORK)} or averages(names)
    own = [name.removeprefix(NETWORK) for name in found]
    downsamplers = [int(down[1]) for name in own if (down := re.match(r"input_blocks\.(\d+)\.0\.op\.", name))]
    layers = max(min(downsamplers, default=3) - 1, 1)
    return {_network_name(name, layers): Origin(found[NETWORK + name]) for name in own}


def controlnet_origins(names: Iterable[str]) -> Origins:
    """The ControlNet of a file in the original naming, with its prefix or without, or in diffusers' own."""
    names = list(names)
    prefix = CONTROL if any(name.startswith(CONTROL) for name in names) else ""
    own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    hints = [int(name.split(".")[1]) for name in own if re.match(r"input_hint_block\.\d+\.", name)]
    if not hints:
        return {name: Origin(name) for name in names}
    downsamplers = [int(found[1]) for name in own if (found := re.match(r"input_blocks\.(\d+)\.0\.op\.", name))]
    layers = max(min(downsamplers, default=3) - 1, 1)
    return {_controlnet_name(name, layers, max(hints)): Origin(prefix + name) for name in own}


def _controlnet_name(name: str, layers: int, last: int) -> str:
    """layers: as of the network. last: number of the last layer that reads the condition; every other is one."""
    if name.startswith(HINT):
        number, rest = int(name.split(".")[1]), name.split(".", 2)[2]
        ends = {0: "conv_in", last: "conv_out"}
        return f"controlnet_cond_embedding.{ends.get(number, f'blocks.{number // 2 - 1}')}.{rest}"
    if found := re.match(r"zero_convs\.(\d+)\.0\.(.+)", name):
        return f"controlnet_down_blocks.{found[1]}.{found[2]}"
    if name.startswith("middle_block_out.0."):
        return name.replace("middle_block_out.0.", "controlnet_mid_block.", 1)
    return _network_name(name, layers)


def _network_name(name: str, layers: int) -> str:
    """layers: residual blocks before the first downsampler."""
    block = re.match(r"(input|output)_blocks\.(\d+)\.(\d+)\.(.+)", name)
    if block is None or name.startswith("input_blocks.0.0."):
        return _replaced(_replaced(name, _NETWORK_ENDS, str.startswith), _RESNET, str.__contains__)
    number, place, rest = int(block[2]), int(block[3]), block[4]
    if block[1] == "input":
        level, layer = divmod(number - 1, layers + 1)
        side, conv = f"down_blocks.{level}", ("op.", f"down_blocks.{level}.downsamplers.0.conv.")
    else:
        level, layer = divmod(number, layers + 1)
        side, conv = f"up_blocks.{level}", ("conv.", f"up_blocks.{level}.upsamplers.0.conv.")
    if rest.startswith(conv[0]):
        return conv[1] + rest.removeprefix(conv[0])
    kind = "attentions" if place else "resnets"
    return f"{side}.{kind}.{layer}.{rest if place else _replaced(rest, _RESNET, str.startswith)}"


def diffusers_layer(layer: str, layers: int) -> str:
    """A layer of the UNet in diffusers, named with "_" for dots; ``layer`` has that or its original name, likewise.

    layers: as in ``_network_name``. LoRAs name layers so.
    """
    if not layer.startswith(_ORIGINAL_STARTS):
        return layer
    name = re.sub(r"^((?:input|output)_blocks)_(\d+)_(\d+)_|^(middle_block)_(\d+)_", _dotted, layer)
    name = re.sub(r"(^time_embed|^out|^label_emb_0|(?<=\.)(?:in_layers|emb_layers|out_layers))_(\d+)$", _dotted, name)
    name = name.replace("label_emb_0.", "label_emb.0.").replace("input_blocks_0_0", "input_blocks.0.0")
    return _network_name(f"{name}.", layers).removesuffix(".").replace(".", "_")


def _dotted(found: re.Match[str]) -> str:
    return ".".join(part for part in found.groups() if part is not None) + ("." if found[0].endswith("_") else "")


def autoencoder_origins(names: Iterable[str]) -> Origins:
    """The autoencoder of a whole checkpoint or of a file of its own, in either naming; empty if there is none."""
    names = list(names)
    prefix = AUTOENCODER if any(name.startswith(AUTOENCODER) for name in names) else ""
    starts = tuple(prefix + part for part in ("encoder.", "decoder.", "quant_conv.", "post_quant_conv."))
    own = [name.removeprefix(prefix) for name in names if name.startswith(starts)]
    ups = [int(found[1]) for name in own if (found := re.match(r"decoder\.up\.(\d+)\.", name))]
    converted = {name: _autoencoder_name(name, max(ups, default=0)) for name in own}
    return {
        new: Origin(prefix + old, flat=".attentions.0.to_" in new and new.endswith("weight"))
        for old, new in converted.items()
    }


def _autoencoder_name(name: str, last: int) -> str:
    """last: number of the decoder's coarsest level, which diffusers counts as its first."""
    name = _replaced(name, _PIXEL_MIDDLE, str.__contains__)
    name = _replaced(name, _PIXEL_ATTENTION, str.__contains__)
    if found := re.match(r"(encoder\.down|decoder\.up)\.(\d+)\.(block\.(\d+)|downsample|upsample)\.(.+)", name):
        level = int(found[2]) if found[1] == "encoder.down" else last - int(found[2])
        inner = f"resnets.{found[4]}" if found[4] else f"{found[3]}rs.0"
        return f"{found[1]}_blocks.{level}.{inner}.{found[5]}"
    return name


def text_origins(names: Iterable[str], part: str = "text_encoder") -> Origins:
    """A text encoder: CLIP's (of Stable Diffusion 1.x, XL's first) or OpenCLIP's (of 2.x, XL's second); {} if absent.

    part: "text_encoder" or "text_encoder_2". Names come without the prefix "text_model.", except those of the second,
    which is a model with a projection.
    """
    names = list(names)
    if part == "text_encoder_2":
        return _open_clip_origins(names, XL_OPEN_CLIP, projected=True)
    return _clip_origins(names, CLIP) or _clip_origins(names, XL_CLIP) or _open_clip_origins(names, OPEN_CLIP)


def _clip_origins(names: Iterable[str], prefix: str) -> dict[str, Origin]:
    clip = {
        name.removeprefix(prefix).removeprefix("text_model."): Origin(name) for name in names if name.startswith(prefix)
    }
    return {
        name: origin
        for name, origin in clip.items()
        if name.startswith(("embeddings.", "encoder.", "final_")) and not name.endswith("position_ids")
    }


def _open_clip_origins(names: Iterable[str], prefix: str, projected: bool = False) -> dict[str, Origin]:
    """projected: with the last block and the projection; Stable Diffusion 2.x reads the text before that block."""
    own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    blocks = [int(number[1]) for name in own if (number := re.match(r"transformer\.resblocks\.(\d+)\.", name))]
    last = () if projected else (f"transformer.resblocks.{max(blocks, default=0)}.", "text_projection")
    left_out, start = (*last, "logit_scale", "attn_mask"), "text_model." if projected else ""
    found: dict[str, Origin] = {}
    for name in own:
        if name.startswith(left_out):
            continue
        if name == "text_projection":
            found["text_projection.weight"] = Origin(prefix + name, transposed=True)
            continue
        new = start + _replaced(name, _TEXT, str.__contains__)
        if packed := re.fullmatch(r"(.+)\.in_proj_(weight|bias)", new):
            for third, part in enumerate(("q_proj", "k_proj", "v_proj")):
                found[f"{packed[1]}.{part}.{packed[2]}"] = Origin(prefix + name, third=third)
        else:
            found[new] = Origin(prefix + name)
    return found


def _replaced(name: str, pairs: Iterable[tuple[str, str]], applies: Callable[[str, str], bool]) -> str:
    for old, new in pairs:
        if applies(name, old):
            name = name.replace(old, new, 1)
    return name
