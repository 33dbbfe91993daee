"""Configs of a checkpoint that comes without any, from its family and the names and shapes of its tensors.

Names are diffusers' and transformers' own; those of a text encoder may have the prefix "text_model." or not.
What no shape says is what all checkpoints of a family have in common: the number of attention heads, activations and
the noise schedule.
"""

import math
from collections.abc import Mapping
from typing import Any

from pnpvideo.backends.family import Family
from pnpvideo.backends.joint_names import BLOCKS
from pnpvideo.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]
HEADS, HEAD_WIDTH = 8, 64
"""Stable Diffusion 1.x has 8 heads in every attention; 2.x, XL and 3 have heads of 64 channels, and so have all text
encoders."""
EPSILON, VELOCITY = "epsilon", "v_prediction"
CELLS, CELLS_VELOCITY_2, CELLS_XL = 64, 96, 128
"""Native width of the latents: 512 pixels; 768 of a 2.x that predicts v, as all published ones do; 1024 of XL."""
CELLS_3 = 128
"""Of Stable Diffusion 3 and 3.5, whose published configs all say 1024 pixels."""
SHIFT_3 = 3.0
"""Of the noise levels of Stable Diffusion 3 (arXiv 2403.03206, eq. 23), in the published scheduler configs of 3 medium
and of 3.5 medium, large and large turbo."""
SIZE_CHANNELS, SIZES = 256, 6
"""Channels in which Stable Diffusion XL reads each of six sizes (see size_conditioning.py)."""


def network_config(shapes: Shapes, family: Family, prediction: str) -> dict[str, Any]:
    """Of a UNet. Raises ModelError where the shapes are those of no such network."""
    widths = _widths(shapes, "down_blocks.{}.resnets.0.conv1.weight", "UNet")
    depths = [
        _count(shapes, f"down_blocks.{level}.attentions.0.transformer_blocks.{{}}.attn2.to_k.weight")
        for level in range(len(widths))
    ]
    first = next((name for name in shapes if name.endswith(".attn2.to_k.weight")), None)
    if first is None or len(shapes[first]) != 2:
        raise ModelError("its UNet has no attention to a text")
    projection = first.partition(".transformer_blocks.")[0] + ".proj_in.weight"
    by_head = [max(width // HEAD_WIDTH, 1) for width in widths]
    config = {
        "_class_name": "UNet2DConditionModel",
        "sample_size": _cells(family, prediction),
        "in_channels": _shape(shapes, "conv_in.weight", 4, "UNet")[1],
        "out_channels": _shape(shapes, "conv_out.weight", 4, "UNet")[0],
        "block_out_channels": widths,
        "layers_per_block": _count(shapes, "down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "up_block_types": ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)],
        "transformer_layers_per_block": [max(depth, 1) for depth in depths],
        "cross_attention_dim": shapes[first][1],
        "attention_head_dim": HEADS if family is Family.SD1 else by_head,  # their number
        "use_linear_projection": len(_shape(shapes, projection, 0, "UNet")) == 2,
    }
    if family is not Family.SDXL:
        return config
    read = _shape(shapes, "add_embedding.linear_1.weight", 2, "UNet")[1]
    return config | {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": SIZE_CHANNELS,
        "projection_class_embeddings_input_dim": read,
    }


def _cells(family: Family, prediction: str) -> int:
    if family is Family.SDXL:
        return CELLS_XL
    return CELLS_VELOCITY_2 if family is Family.SD2 and prediction == VELOCITY else CELLS


def transformer_config(shapes: Shapes) -> dict[str, Any]:
    """Of the network of Stable Diffusion 3 or 3.5. Raises ModelError as the others do."""

    def shape(name: str, axes: int) -> tuple[int, ...]:
        return _shape(shapes, name, axes, "transformer")

    width, channels, patch, _ = shape("pos_embed.proj.weight", 4)
    positions = shape("pos_embed.pos_embed", 3)[1]
    side = math.isqrt(positions)
    if side**2 != positions:
        raise ModelError(f"its transformer has {positions} positions; accepted are those of a square")
    depth = _count(shapes, "transformer_blocks.{}.attn.to_q.weight")
    if not depth:
        raise ModelError(f"its transformer has no {BLOCKS}0")
    norm = "transformer_blocks.0.attn.norm_q.weight"
    heads = max(width // (shape(norm, 1)[0] if norm in shapes else HEAD_WIDTH), 1)
    context, text = shape("context_embedder.weight", 2)
    dual = [block for block in range(depth) if f"transformer_blocks.{block}.attn2.to_q.weight" in shapes]
    return {
        "_class_name": "SD3Transformer2DModel",
        "sample_size": min(CELLS_3, side * patch),
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": shape("proj_out.weight", 2)[0] // patch**2,
        "num_layers": depth,
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "joint_attention_dim": text,
        "caption_projection_dim": context,
        "pooled_projection_dim": shape("time_text_embed.text_embedder.linear_1.weight", 2)[1],
        "pos_embed_max_size": side,
        "dual_attention_layers": dual,
        "qk_norm": "rms_norm" if norm in shapes else None,
    }


def autoencoder_config(shapes: Shapes) -> dict[str, Any]:
    """Of an autoencoder, without the scale of its latents. Raises ModelError if the shapes are of no such network."""
    widths = _widths(shapes, "encoder.down_blocks.{}.resnets.0.conv1.weight", "autoencoder")
    return {
        "_class_name": "AutoencoderKL",
        "block_out_channels": widths,
        "layers_per_block": _count(shapes, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "latent_channels": _shape(shapes, "decoder.conv_in.weight", 4, "autoencoder")[1],
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "mid_block_add_attention": any(".mid_block.attentions." in name for name in shapes),
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }


def text_config(shapes: Shapes, second: bool) -> dict[str, Any]:
    """Of a CLIP text encoder. second: OpenCLIP's. Raises ModelError as the others do."""
    projected = "text_projection.weight" in shapes
    shapes = {name.removeprefix("text_model."): shape for name, shape in shapes.items()}
    words, width = _shape(shapes, "embeddings.token_embedding.weight", 2, "text encoder")
    config = {
        "model_type": "clip_text_model",
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": _shape(shapes, "encoder.layers.0.mlp.fc1.weight", 2, "text encoder")[0],
        "num_hidden_layers": _count(shapes, "encoder.layers.{}.mlp.fc1.weight"),
        "num_attention_heads": max(width // HEAD_WIDTH, 1),
        "max_position_embeddings": _shape(shapes, "embeddings.position_embedding.weight", 2, "text encoder")[0],
        "hidden_act": "gelu" if second else "quick_gelu",
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
        "pad_token_id": 0 if second else words - 1,
    }
    if projected:
        config["projection_dim"] = _shape(shapes, "text_projection.weight", 2, "text encoder")[0]
    return config


def scheduler_config(family: Family, prediction: str, zero_terminal_snr: bool) -> dict[str, Any]:
    """The noise schedule of 1.x, 2.x and XL. zero_terminal_snr: does it end in pure noise (arXiv 2305.08891)?

    XL is published with Euler's scheduler, whose last step leaves no noise.
    """
    return {
        "_class_name": "EulerDiscreteScheduler" if family is Family.SDXL else "DDIMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "prediction_type": prediction,
        "rescale_betas_zero_snr": zero_terminal_snr,
        "timestep_spacing": "trailing" if zero_terminal_snr else "leading",
    }


def flow_scheduler_config() -> dict[str, Any]:
    """The noise levels of Stable Diffusion 3 and 3.5."""
    return {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": SHIFT_3}


def _widths(shapes: Shapes, pattern: str, part: str) -> list[int]:
    """Output channels of each level."""
    count = _count(shapes, pattern)
    if not count:
        raise ModelError(f"its {part} has no {pattern.format(0)}")
    return [_shape(shapes, pattern.format(level), 4, part)[0] for level in range(count)]


def _count(shapes: Shapes, pattern: str) -> int:
    count = 0
    while pattern.format(count) in shapes:
        count += 1
    return count


def _shape(shapes: Shapes, name: str, axes: int, part: str) -> tuple[int, ...]:
    """axes: how many the tensor has; 0: any number."""
    found = shapes.get(name)
    if found is None or (axes and len(found) != axes):
        raise ModelError(f"its {part} has {f'no {name}' if found is None else f'{name} of shape {found}'}")
    return found
