"""A tiny Stable Diffusion 3 with CLIP's vocabulary, in a folder of diffusers and by the names of the original code.

The conversion goes from diffusers' names to the original ones, independently of the package's own, which goes back.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from transformers import CLIPTextModelWithProjection

from pnpvideo.backends.clip_tokenizer import clip_tokenizer
from tests.backends.originals import WIDTH, Tensors, text_config, vae, weights

BLOCKS, INNER = 3, 128
PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2")
VERSIONS: dict[str, dict[str, Any]] = {
    "3": {},
    "3.5 large": {"qk_norm": "rms_norm"},
    "3.5 medium": {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1)},
}


def new_transformer(version: str) -> SD3Transformer2DModel:
    """Of random weights that are exact in fp16, those of its norms too. version: a key of VERSIONS."""
    with torch.random.fork_rng():
        torch.manual_seed(12)
        network = SD3Transformer2DModel(
            sample_size=16,
            num_layers=BLOCKS,
            num_attention_heads=2,
            joint_attention_dim=2 * WIDTH,
            caption_projection_dim=INNER,
            pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=8,
            **VERSIONS[version],
        )
        with torch.no_grad():
            for name, value in network.named_parameters():
                if ".norm_" in name and value.ndim == 1:
                    value.uniform_(0.5, 1.5)
    found: SD3Transformer2DModel = network.half().float()
    return found


def write_folder3(folder: Path) -> Path:
    """A checkpoint of 3.5 medium without T5 whose weights are exact in fp16."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        parts = {
            "transformer": new_transformer("3.5 medium"),
            "vae": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(32, 32, 32, 32),
                layers_per_block=2,
                latent_channels=16,
                scaling_factor=1.5305,
                shift_factor=0.0609,
                use_quant_conv=False,
                use_post_quant_conv=False,
            ),
            "text_encoder": CLIPTextModelWithProjection(text_config(open_clip=False)),
            "text_encoder_2": CLIPTextModelWithProjection(text_config(open_clip=True)),
        }
        with torch.no_grad():
            parts["text_encoder"].text_projection.weight.copy_(torch.eye(WIDTH))  # as diffusers reads it from a file
    for name, part in parts.items():
        part.half().float().save_pretrained(folder / name)
    clip_tokenizer().save_pretrained(folder / "tokenizer")
    clip_tokenizer("!").save_pretrained(folder / "tokenizer_2")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusion3Pipeline"}))
    return folder


def original3(folder: Path) -> Tensors:
    """All weights of a folder by the names of the original code."""
    return by_original_names3({part: weights(folder, part) for part in PARTS})


def by_original_names3(parts: dict[str, Tensors]) -> Tensors:
    """With what the published files have besides, which no part reads."""
    found = {f"model.diffusion_model.{name}": value for name, value in transformer(parts["transformer"]).items()}
    found |= {f"first_stage_model.{name}": value for name, value in vae(parts["vae"]).items()}
    for part, short in (("text_encoder", "clip_l"), ("text_encoder_2", "clip_g")):
        start = f"text_encoders.{short}."
        found |= {f"{start}transformer.{name}": value for name, value in parts[part].items()}
        found[f"{start}transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
        found[f"{start}logit_scale"] = torch.ones(())
    projection = found["text_encoders.clip_l.transformer.text_projection.weight"]
    found["text_encoders.clip_l.transformer.text_projection.weight"] = torch.full_like(projection, 7.0)
    return found


LAYERS = {
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "proj_out": "final_layer.linear",
}
INSIDE = {
    "norm1.linear": "x_block.adaLN_modulation.1",
    "attn.to_out.0": "x_block.attn.proj",
    "attn2.to_out.0": "x_block.attn2.proj",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "attn.to_add_out": "context_block.attn.proj",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
}
PACKED = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}


def transformer(tensors: Tensors) -> Tensors:
    """In the order of the original code, shift stands before scale where diffusers has scale before shift."""
    ends = ("weight", "bias")
    blocks = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("transformer_blocks."))
    found = {"pos_embed": tensors["pos_embed.pos_embed"]}
    for end in ends:
        found |= {f"{old}.{end}": tensors[f"{new}.{end}"] for new, old in LAYERS.items()}
        found[f"final_layer.adaLN_modulation.1.{end}"] = exchanged(tensors[f"norm_out.linear.{end}"])
    for number in range(blocks):
        start, block = f"transformer_blocks.{number}.", f"joint_blocks.{number}."
        for end in ends:
            there = {new: old for new, old in INSIDE.items() if f"{start}{new}.{end}" in tensors}
            found |= {f"{block}{old}.{end}": tensors[f"{start}{new}.{end}"] for new, old in there.items()}
            for old, new in PACKED.items():
                if f"{start}{new[0]}.{end}" in tensors:
                    found[f"{block}{old}.{end}"] = torch.cat([tensors[f"{start}{part}.{end}"] for part in new])
            context = tensors[f"{start}norm1_context.linear.{end}"]
            last = number == blocks - 1
            found[f"{block}context_block.adaLN_modulation.1.{end}"] = exchanged(context) if last else context
    assert sum(value.numel() for value in found.values()) == sum(value.numel() for value in tensors.values())
    return found


def exchanged(value: torch.Tensor) -> torch.Tensor:
    first, second = value.chunk(2)
    return torch.cat([second, first])
