"""The finished checkpoint: a diffusers pipeline folder in fp16, with its card of recommendations."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor2_0
from transformers import CLIPTokenizer

from pnpvideo.miniature.recipe.denoiser import Denoiser, new_scheduler

CARD = {
    "guidance": 2.5,
    "familiar_error": 0.12,
    "outside_notice": (
        "this picture is from outside the miniature's small world (balls, cubes, cylinders and cones, as cartoon, "
        "photo or sketch); for real footage name a real checkpoint, such as --model sd15 or a folder"
    ),
}


def export(folder: Path, model: Denoiser, autoencoder: AutoencoderKL, tokenizer: CLIPTokenizer) -> None:
    """Write unet, vae, text_encoder, tokenizer, scheduler and model_index.json; safetensors, fp16."""
    model.unet.set_attn_processor(AttnProcessor2_0())
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=model.text_encoder,
        tokenizer=tokenizer,
        unet=model.unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16)
    model.text_encoder.float()  # transformers loads weights in the type they were saved in, diffusers in fp32
    pipeline.save_pretrained(folder, safe_serialization=True)
    (folder / "pnpvideo.json").write_text(json.dumps(CARD, indent=2) + "\n")
