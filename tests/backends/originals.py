"""Tiny checkpoints of random weights in every packaging, and the naming of Stable Diffusion's original code.

The conversion goes from diffusers' names to the original ones, written from how the published checkpoints are laid out
(two residual blocks a level, three output blocks a level), independently of the package's own, which goes back.
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pnpvideo.backends.clip_tokenizer import END, clip_tokenizer

Tensors = dict[str, Tensor]
WORDS, WIDTH = 49408, 32
FAMILIES = ("1.x", "2.x", "XL")
SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
SAMPLE_SIZES = {("1.x", "epsilon"): 64, ("2.x", "epsilon"): 64, ("2.x", "v_prediction"): 96, ("XL", "epsilon"): 128}
_FOUR_LEVELS: dict[str, Any] = {
    "block_out_channels": (32, 64, 64, 64),
    "cross_attention_dim": WIDTH,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
UNETS: dict[str, dict[str, Any]] = {
    "1.x": {**_FOUR_LEVELS, "attention_head_dim": 8},
    "2.x": {**_FOUR_LEVELS, "attention_head_dim": (1, 1, 1, 1), "use_linear_projection": True},
    "XL": {
        "block_out_channels": (32, 32, 64),
        "cross_attention_dim": 2 * WIDTH,
        "attention_head_dim": (1, 1, 1),
        "transformer_layers_per_block": (1, 2, 3),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": WIDTH + 6 * 256,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    },
}


def write_folder(folder: Path, family: str, prediction: str = "epsilon") -> Path:
    """A checkpoint in the diffusers layout whose weights are exact in fp16. family: "1.x", "2.x" or "XL"."""
    with torch.random.fork_rng():
        torch.manual_seed({"1.x": 3, "2.x": 7, "XL": 5}[family])
        parts = {
            "unet": UNet2DConditionModel(**UNETS[family], sample_size=SAMPLE_SIZES[family, prediction]),
            "vae": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(32, 32, 32, 32),
                layers_per_block=2,
                latent_channels=4,
                **({"scaling_factor": 0.13025, "force_upcast": True} if family == "XL" else {}),
            ),
            "text_encoder": CLIPTextModel(text_config(open_clip=family == "2.x")),
        }
        if family == "XL":
            parts["text_encoder_2"] = CLIPTextModelWithProjection(text_config(open_clip=True))
    for name, part in parts.items():
        part.half().float().save_pretrained(folder / name)
    clip_tokenizer("!" if family == "2.x" else END).save_pretrained(folder / "tokenizer")
    if family == "XL":
        clip_tokenizer("!").save_pretrained(folder / "tokenizer_2")
    (folder / "scheduler").mkdir()
    kind = "EulerDiscreteScheduler" if family == "XL" else "DDIMScheduler"
    schedule = {**SCHEDULE, "_class_name": kind, "prediction_type": prediction}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(schedule))
    texts = [name for name in parts if name.startswith("text")]
    kinds = {
        name: ["transformers" if name in texts else "diffusers", type(part).__name__] for name, part in parts.items()
    }
    kinds |= {name.replace("text_encoder", "tokenizer"): ["transformers", "CLIPTokenizer"] for name in texts}
    index = {**kinds, "scheduler": ["diffusers", kind], "feature_extractor": [None, None]}
    if family == "XL":
        index |= {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True}
        index |= {"image_encoder": [None, None]}
    else:
        index |= {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None]}
        index |= {"requires_safety_checker": False}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def text_config(open_clip: bool) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=1,
        max_position_embeddings=77,
        projection_dim=WIDTH,
        hidden_act="gelu" if open_clip else "quick_gelu",
        bos_token_id=WORDS - 2,
        eos_token_id=WORDS - 1,
    )


def weights(folder: Path, part: str) -> Tensors:
    stem = "model" if part.startswith("text") else "diffusion_pytorch_model"
    return load_file(folder / part / f"{stem}.safetensors")


def original(folder: Path, family: str) -> Tensors:
    """All weights of a folder by the names of the original code."""
    parts = ("unet", "vae", "text_encoder", *(("text_encoder_2",) if family == "XL" else ()))
    return by_original_names({part: weights(folder, part) for part in parts}, family)


def by_original_names(parts: dict[str, Tensors], family: str) -> Tensors:
    found = {f"model.diffusion_model.{name}": value for name, value in unet(parts["unet"]).items()}
    found |= {f"first_stage_model.{name}": value for name, value in vae(parts["vae"]).items()}
    text = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in parts["text_encoder"].items()}
    if family == "2.x":
        return found | {f"cond_stage_model.model.{name}": value for name, value in open_clip(text).items()}
    start = "conditioner.embedders.0" if family == "XL" else "cond_stage_model"
    found |= {f"{start}.transformer.{name}": value for name, value in text.items()}
    found[f"{start}.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    if family == "XL":
        second = open_clip(parts["text_encoder_2"], whole=True)
        found |= {f"conditioner.embedders.1.model.{name}": value for name, value in second.items()}
    return found


def write_single(path: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> Path:
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata)
    return path


INSIDE_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "mid_block.attentions.0": "middle_block.1",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def unet(tensors: Tensors) -> Tensors:
    with_attention = {int(name.split(".")[1]) for name in tensors if re.match(r"up_blocks\.\d\.attentions", name)}
    found = {}
    for name, value in tensors.items():
        new = name
        if match := re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions)\.(\d)\.(.*)", name):
            side, level, kind, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
            block = f"input_blocks.{3 * level + layer + 1}" if side == "down" else f"output_blocks.{3 * level + layer}"
            new = f"{block}.{0 if kind == 'resnets' else 1}.{_inside(rest) if kind == 'resnets' else rest}"
        elif match := re.match(r"down_blocks\.(\d)\.downsamplers\.0\.conv\.(.*)", name):
            new = f"input_blocks.{3 * (int(match[1]) + 1)}.0.op.{match[2]}"
        elif match := re.match(r"up_blocks\.(\d)\.upsamplers\.0\.conv\.(.*)", name):
            level = int(match[1])
            new = f"output_blocks.{3 * level + 2}.{2 if level in with_attention else 1}.conv.{match[2]}"
        elif match := re.match(r"mid_block\.resnets\.(\d)\.(.*)", name):
            new = f"middle_block.{2 * int(match[1])}.{_inside(match[2])}"
        else:
            new = next(old + name.removeprefix(start) for start, old in UNET_ENDS.items() if name.startswith(start))
        found[new] = value
    assert len(found) == len(tensors)
    return found


def _inside(rest: str) -> str:
    part, _, end = rest.rpartition(".")
    return f"{INSIDE_RESNET[part]}.{end}"


PIXEL_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def vae(tensors: Tensors) -> Tensors:
    found = {}
    for name, value in tensors.items():
        new = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        if match := re.match(r"(encoder|decoder)\.mid_block\.resnets\.(\d)\.(.*)", new):
            new = f"{match[1]}.mid.block_{int(match[2]) + 1}.{match[3]}"
        elif match := re.match(r"(encoder|decoder)\.mid_block\.attentions\.0\.(.*)\.(weight|bias)", new):
            part = PIXEL_ATTENTION[match[2]]
            new = f"{match[1]}.mid.attn_1.{part}.{match[3]}"
            value = value[:, :, None, None] if value.ndim == 2 else value
        elif match := re.match(r"encoder\.down_blocks\.(\d)\.(resnets|downsamplers)\.(\d)\.(.*)", new):
            inner = f"block.{match[3]}" if match[2] == "resnets" else "downsample"
            new = f"encoder.down.{match[1]}.{inner}.{match[4]}"
        elif match := re.match(r"decoder\.up_blocks\.(\d)\.(resnets|upsamplers)\.(\d)\.(.*)", new):
            inner = f"block.{match[3]}" if match[2] == "resnets" else "upsample"
            new = f"decoder.up.{3 - int(match[1])}.{inner}.{match[4]}"
        found[new] = value
    assert len(found) == len(tensors)
    return found


def open_clip(tensors: Tensors, whole: bool = False) -> Tensors:
    """With what only OpenCLIP itself reads. Unless ``whole``, which has its own projection, with one block more, which
    the checkpoint's reader must leave out."""
    names = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    found = {
        "token_embedding.weight": tensors["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": tensors["text_model.embeddings.position_embedding.weight"],
        "ln_final.weight": tensors["text_model.final_layer_norm.weight"],
        "ln_final.bias": tensors["text_model.final_layer_norm.bias"],
        "text_projection": tensors["text_projection.weight"].T if whole else torch.zeros(WIDTH, WIDTH),
        "logit_scale": torch.zeros(()),
    }
    layers = 1 + max(int(name.split(".")[3]) for name in tensors if ".layers." in name)
    for layer in range(layers):
        start, block = f"text_model.encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for end in ("weight", "bias"):
            found |= {f"{block}{new}.{end}": tensors[f"{start}{old}.{end}"] for old, new in names.items()}
            parts = [tensors[f"{start}self_attn.{part}_proj.{end}"] for part in "qkv"]
            found[f"{block}attn.in_proj_{end}"] = torch.cat(parts)
    if whole:
        return found
    last = {name: value for name, value in found.items() if name.startswith(f"transformer.resblocks.{layers - 1}.")}
    return found | {
        name.replace(f".{layers - 1}.", f".{layers}.", 1): torch.full_like(value, 3.0) for name, value in last.items()
    }
