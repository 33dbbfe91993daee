"""Export the trained networks as diffusers and transformers folders in fp16, with recommended settings."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import (
    BertTokenizer,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextModel,
    CLIPTokenizer,
)

from pnpvideo.backends.learned_words import LEARNED_WORDS
from pnpvideo.miniature.recipe.augmentation import DEVIATION, MEAN, PICTURE
from pnpvideo.miniature.recipe.denoiser import new_scheduler
from pnpvideo.miniature.recipe.stage import round_weights
from pnpvideo.miniature.recipe.tokenizer import caption_words

EXPORTED_DIGITS = 8
"""Binary digits of the denoiser's weights: those of bfloat16, which it is trained with. In the repository they take a
sixth less room than with the eleven of fp16."""

CARD = {
    "guidance": 2.0,
    "edit_guidance": 2.0,
    "edit_negative": "",
    "attention_until": 0.8,
    "inversion_rounds": 1,
    "familiar_error": 0.12,
    "outside_notice": (
        "this picture is from outside the miniature's small world (balls, cubes, cylinders, cones, trees, houses, "
        "cars, boats and figures); for real footage name a real checkpoint, such as --model sd15 or a folder"
    ),
}


def export(
    folder: Path,
    unet: UNet2DConditionModel,
    autoencoder: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
) -> None:
    """Write the pipeline folder: networks (fp16 safetensors; the text encoder in fp32), configs, recommended settings
    (pnpvideo.json) and the list of learned words.

    Leaves the networks passed in those dtypes, and the denoiser's weights with EXPORTED_DIGITS.
    """
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16)
    unet.load_state_dict(round_weights(unet.state_dict(), EXPORTED_DIGITS))
    text_encoder.float()  # transformers loads weights in the dtype they were saved in, diffusers in fp32
    pipeline.save_pretrained(folder, safe_serialization=True)
    (folder / "pnpvideo.json").write_text(json.dumps(CARD, indent=2) + "\n")
    (folder / LEARNED_WORDS).write_text("\n".join(caption_words()) + "\n", encoding="utf-8")


def export_judge(folder: Path, judge: CLIPModel, tokenizer: CLIPTokenizer) -> None:
    """Write the judge (CLIP, see judge.py) with its processor to ``folder``, in fp16; converts ``judge`` itself."""
    size = {"height": PICTURE, "width": PICTURE}
    pictures = CLIPImageProcessor(size={"shortest_edge": PICTURE}, crop_size=size, image_mean=MEAN, image_std=DEVIATION)
    judge.half().save_pretrained(folder)
    CLIPProcessor(pictures, tokenizer).save_pretrained(folder)


def export_captioner(folder: Path, captioner: BlipForConditionalGeneration, tokenizer: BertTokenizer) -> None:
    """Write the captioner (BLIP) with its processor to ``folder``, in fp16; converts ``captioner`` itself."""
    size = {"height": PICTURE, "width": PICTURE}
    captioner.half().save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(size=size, image_mean=MEAN, image_std=DEVIATION), tokenizer).save_pretrained(
        folder
    )
