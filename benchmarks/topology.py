"""Checkpoints of Stable Diffusion's topologies with random weights, on which the cost of a call does not depend."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pnpvideo.backends.loading import load_reader

NORM, TOKENS = 32, 77
SCHEDULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


@dataclass(frozen=True, kw_only=True)
class Topology:
    """heads: of the attentions of each level. cells: native width of the latents. text: channels, layers and heads of
    the text encoder. linear: projections are linear layers instead of 1 x 1 convolutions."""

    heads: tuple[int, ...]
    cells: int
    text: tuple[int, int, int]
    activation: str
    linear: bool
    prediction: str


SD2 = Topology(
    heads=(5, 10, 20, 20), cells=64, text=(1024, 23, 16), activation="gelu", linear=True, prediction="epsilon"
)
TOPOLOGIES = {
    "sd15": Topology(
        heads=(8,) * 4, cells=64, text=(768, 12, 12), activation="quick_gelu", linear=False, prediction="epsilon"
    ),
    "sd21-base": SD2,
    "sd21": replace(SD2, cells=96, prediction="v_prediction"),
}
CHANNELS, PIXEL_CHANNELS = (320, 640, 1280, 1280), (128, 256, 512, 512)


def new_network(topology: Topology, width: float) -> UNet2DConditionModel:
    """A UNet with random weights. width: share of the channels; the number of heads stays the same."""
    step = math.lcm(NORM, *topology.heads)
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=topology.cells,
        block_out_channels=_scale_channels(CHANNELS, width, step),
        cross_attention_dim=topology.text[0],
        attention_head_dim=topology.heads,
        use_linear_projection=topology.linear,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    ).eval()


def write_checkpoint(folder: Path, topology: Topology, width: float) -> Path:
    """Write a complete checkpoint to ``folder``; its tokenizer has one token a letter. width: see new_network."""
    new_network(topology, width).save_pretrained(folder / "unet")
    channels = _scale_channels(PIXEL_CHANNELS, width, NORM)
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=channels,
        layers_per_block=2,
        latent_channels=4,
        sample_size=8 * topology.cells,
    ).save_pretrained(folder / "vae")
    tokenizer = letter_tokenizer(folder / "tokenizer", TOKENS)
    size, layers, heads = topology.text
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=size,
            intermediate_size=4 * size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            hidden_act=topology.activation,
            max_position_embeddings=TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).save_pretrained(folder / "text_encoder")
    DDIMScheduler(
        **SCHEDULER, prediction_type=topology.prediction, clip_sample=False, set_alpha_to_one=False
    ).save_pretrained(folder / "scheduler")
    return folder


def letter_tokenizer(folder: Path, length: int) -> CLIPTokenizer:
    """Write a tokenizer with one token for each letter to ``folder``. length: tokens of a text, with start and end."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": length}))
    tokenizer: CLIPTokenizer = load_reader(CLIPTokenizer, folder)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _scale_channels(channels: tuple[int, ...], width: float, step: int) -> tuple[int, ...]:
    return tuple(max(step, round(count * width / step) * step) for count in channels)
