"""Checkpoints of Stable Diffusion's topologies with random weights, on which the cost of a call does not depend."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from pnpvideo.backends.loading import load_reader

NORM, TOKENS = 32, 77
SCHEDULER = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
CHANNELS, PIXEL_CHANNELS = (320, 640, 1280, 1280), (128, 256, 512, 512)


@dataclass(frozen=True, kw_only=True)
class Tower:
    """The size of a text encoder."""

    channels: int
    layers: int
    heads: int
    activation: str


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The size of a checkpoint.

    channels, heads, depths: of each level of the network; a level of depth 0 has no attention. cells: native width of
    the latents. linear: projections are linear layers instead of 1 x 1 convolutions. With two towers the network is
    told the second one's pooled text and the size of the picture, as in Stable Diffusion XL.
    """

    channels: tuple[int, ...] = CHANNELS
    heads: tuple[int, ...]
    depths: tuple[int, ...] = (1, 1, 1, 0)
    cells: int
    towers: tuple[Tower, ...]
    linear: bool
    prediction: str = "epsilon"
    latent_scale: float = 0.18215


CLIP_L = Tower(channels=768, layers=12, heads=12, activation="quick_gelu")
SD2 = Topology(
    heads=(5, 10, 20, 20),
    cells=64,
    towers=(Tower(channels=1024, layers=23, heads=16, activation="gelu"),),
    linear=True,
)
TOPOLOGIES = {
    "sd15": Topology(heads=(8,) * 4, cells=64, towers=(CLIP_L,), linear=False),
    "sd21-base": SD2,
    "sd21": replace(SD2, cells=96, prediction="v_prediction"),
    "sdxl": Topology(
        channels=CHANNELS[:3],
        heads=(5, 10, 20),
        depths=(0, 2, 10),
        cells=128,
        towers=(CLIP_L, Tower(channels=1280, layers=32, heads=20, activation="gelu")),
        linear=True,
        latent_scale=0.13025,
    ),
}
TOLD_CHANNELS, TOLD_NUMBERS = 256, 6
"""Stable Diffusion XL is told six numbers about the size of a picture, each as an embedding of so many channels."""


def new_network(topology: Topology, width: float) -> UNet2DConditionModel:
    """A UNet with random weights. width: share of the channels; the number of heads stays the same."""
    step = math.lcm(NORM, *topology.heads)
    pooled = topology.towers[-1].channels
    told = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": TOLD_CHANNELS,
        "projection_class_embeddings_input_dim": pooled + TOLD_NUMBERS * TOLD_CHANNELS,
    }
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=topology.cells,
        block_out_channels=_scale_channels(topology.channels, width, step),
        cross_attention_dim=sum(tower.channels for tower in topology.towers),
        attention_head_dim=topology.heads,
        transformer_layers_per_block=tuple(max(1, depth) for depth in topology.depths),
        use_linear_projection=topology.linear,
        down_block_types=tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in topology.depths),
        up_block_types=tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(topology.depths)),
        **(told if len(topology.towers) > 1 else {}),
    ).eval()


def new_autoencoder(topology: Topology, width: float) -> AutoencoderKL:
    """An autoencoder with random weights. width: share of the channels."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=_scale_channels(PIXEL_CHANNELS, width, NORM),
        layers_per_block=2,
        latent_channels=4,
        sample_size=8 * topology.cells,
        scaling_factor=topology.latent_scale,
    )


def new_text_encoder(tower: Tower, *, pools: bool, **tokens: int) -> CLIPTextModel | CLIPTextModelWithProjection:
    """A text encoder with random weights. pools: it projects what it pools. tokens: settings of CLIPTextConfig."""
    config = CLIPTextConfig(
        hidden_size=tower.channels,
        intermediate_size=4 * tower.channels,
        num_hidden_layers=tower.layers,
        num_attention_heads=tower.heads,
        hidden_act=tower.activation,
        projection_dim=tower.channels,
        max_position_embeddings=TOKENS,
        **tokens,
    )
    return (CLIPTextModelWithProjection if pools else CLIPTextModel)(config)


def write_checkpoint(folder: Path, topology: Topology, width: float, dtype: torch.dtype = torch.float32) -> Path:
    """Write a complete checkpoint to ``folder``; its tokenizer has one token a letter. width: see new_network."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        new_network(topology, width).save_pretrained(folder / "unet")
        new_autoencoder(topology, width).save_pretrained(folder / "vae")
        for index, tower in enumerate(topology.towers):
            _write_text(folder, "" if index == 0 else f"_{index + 1}", tower)
    finally:
        torch.set_default_dtype(before)
    DDIMScheduler(
        **SCHEDULER, prediction_type=topology.prediction, clip_sample=False, set_alpha_to_one=False
    ).save_pretrained(folder / "scheduler")
    return folder


def _write_text(folder: Path, suffix: str, tower: Tower) -> None:
    """Write tokenizer and text encoder; any but the first has a projection of what it pools."""
    tokenizer = letter_tokenizer(folder / f"tokenizer{suffix}", TOKENS)
    encoder = new_text_encoder(
        tower,
        pools=bool(suffix),
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder.save_pretrained(folder / f"text_encoder{suffix}")


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
