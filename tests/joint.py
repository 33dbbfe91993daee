"""A tiny checkpoint of Stable Diffusion 3 of random weights, written to a folder, and diffusers' pipeline of it."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from benchmarks.topology import letter_tokenizer

LENGTH, WIDTH, POOLED = 20, 32, 12
"""Tokens of CLIP; channels of a token; channels of a text as a whole, of each CLIP."""


def write_joint(folder: Path, t5: bool = True) -> Path:
    """The topology of Stable Diffusion 3.5 medium with three blocks, the first of dual attention, 64 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part, width in (("text_encoder", 8), ("text_encoder_2", 16)):
            tokenizer = letter_tokenizer(folder / part.replace("text_encoder", "tokenizer"), LENGTH)
            CLIPTextModelWithProjection(
                CLIPTextConfig(
                    vocab_size=len(tokenizer),
                    hidden_size=width,
                    intermediate_size=2 * width,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    max_position_embeddings=LENGTH,
                    projection_dim=POOLED,
                    bos_token_id=tokenizer.bos_token_id,
                    eos_token_id=tokenizer.eos_token_id,
                    pad_token_id=tokenizer.pad_token_id,
                )
            ).save_pretrained(folder / part)
        if t5:
            _write_t5(folder)
        SD3Transformer2DModel(
            sample_size=8,
            num_layers=3,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            caption_projection_dim=16,
            pooled_projection_dim=2 * POOLED,
            pos_embed_max_size=8,
            dual_attention_layers=(0,),
            qk_norm="rms_norm",
        ).save_pretrained(folder / "transformer")
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(4, 8, 8, 8),
            latent_channels=16,
            norm_num_groups=4,
            mid_block_add_attention=False,
            scaling_factor=1.5305,
            shift_factor=0.0609,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ).save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusion3Pipeline"}))
    return folder


def pipeline_of(folder: Path) -> StableDiffusion3Pipeline:
    """diffusers' own, with the folder's weights, each part by its own class."""
    t5 = (folder / "text_encoder_3").is_dir()

    def clip(part: str) -> Any:
        return CLIPTextModelWithProjection.from_pretrained(folder / part, local_files_only=True).eval()

    found = StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel.from_pretrained(folder / "transformer").eval(),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        vae=AutoencoderKL.from_pretrained(folder / "vae").eval(),
        text_encoder=clip("text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder_2=clip("text_encoder_2"),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        text_encoder_3=T5EncoderModel.from_pretrained(folder / "text_encoder_3").eval() if t5 else None,
        tokenizer_3=T5TokenizerFast.from_pretrained(folder / "tokenizer_3") if t5 else None,
    )
    found.set_progress_bar_config(disable=True)
    return found


def _write_t5(folder: Path) -> None:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"{chr(97 + n)}", -1.0 - n) for n in range(26))]
    tokenizer = Tokenizer(models.Unigram([*pieces, ("▁", -2.0)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder / "tokenizer_3")
    config = T5Config(
        vocab_size=40, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu"
    )
    T5EncoderModel(config).save_pretrained(folder / "text_encoder_3")
