"""Configs of a Stable Diffusion 1.x or 2.x that comes without any, from the names and shapes of its tensors.

Names are diffusers' and transformers' own, the text encoder's without the prefix "text_model.". What no shape says is
what all checkpoints of the two families have in common: the number of attention heads, activations, the autoencoder's
scale and the noise schedule.
"""

from collections.abc import Mapping
from typing import Any

from pnpvideo.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]
HEADS, HEAD_WIDTH = 8, 64
"""Stable Diffusion 1.x has 8 heads in every attention, 2.x heads of 64 channels; both text encoders the latter."""
EPSILON, VELOCITY = "epsilon", "v_prediction"
CELLS = {EPSILON: 64, VELOCITY: 96}
"""Native width of the latents: 512 pixels, and 768 where the network predicts v, as all such published models do."""


def network_config(shapes: Shapes, second: bool, prediction: str) -> dict[str, Any]:
    """Of a UNet. second: of the family 2.x. Raises ModelError where the shapes are those of no such network."""
    widths = _widths(shapes, "down_blocks.{}.resnets.0.conv1.weight", "UNet")
    attends = [
        any(name.startswith(f"down_blocks.{level}.attentions.") for name in shapes) for level in range(len(widths))
    ]
    first = next((name for name in shapes if name.endswith(".attn2.to_k.weight")), None)
    if first is None or len(shapes[first]) != 2:
        raise ModelError("its UNet has no attention to a text")
    projection = first.partition(".transformer_blocks.")[0] + ".proj_in.weight"
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": CELLS[prediction],
        "in_channels": _shape(shapes, "conv_in.weight", 4, "UNet")[1],
        "out_channels": _shape(shapes, "conv_out.weight", 4, "UNet")[0],
        "block_out_channels": widths,
        "layers_per_block": _count(shapes, "down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": ["CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if attention else "UpBlock2D" for attention in reversed(attends)],
        "cross_attention_dim": shapes[first][1],
        "attention_head_dim": [max(width // HEAD_WIDTH, 1) for width in widths] if second else HEADS,  # their number
        "use_linear_projection": len(_shape(shapes, projection, 0, "UNet")) == 2,
    }


def autoencoder_config(shapes: Shapes) -> dict[str, Any]:
    """Of an autoencoder. Raises ModelError where the shapes are those of no such network."""
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
        "scaling_factor": 0.18215,
    }


def text_config(shapes: Shapes, second: bool) -> dict[str, Any]:
    """Of a CLIP text encoder. second: OpenCLIP's, without its last block. Raises ModelError as the others do."""
    words, width = _shape(shapes, "embeddings.token_embedding.weight", 2, "text encoder")
    return {
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


def scheduler_config(prediction: str, zero_terminal_snr: bool) -> dict[str, Any]:
    """The noise schedule of both families. zero_terminal_snr: does it end in pure noise (arXiv 2305.08891)?"""
    return {
        "_class_name": "DDIMScheduler",
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
