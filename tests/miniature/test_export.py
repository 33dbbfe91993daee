"""The export of a trained miniature."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pnpvideo.backends.learned_words import read_learned_words
from pnpvideo.backends.loading import load_reader
from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.recipe import export as module
from pnpvideo.miniature.recipe.denoiser import new_unet
from pnpvideo.miniature.recipe.export import CARD, export


def test_the_folder_holds_fp16_weights_recommendations_and_learned_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "caption_words", lambda: ["ball", "red"])
    torch.manual_seed(0)
    unet, tokenizer = new_unet((8, 8, 16, 16)), load_reader(CLIPTokenizer, WEIGHTS / "tokenizer")
    autoencoder = AutoencoderKL(block_out_channels=(8,), latent_channels=4, norm_num_groups=4)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    text_encoder = CLIPTextModel(CLIPTextConfig(vocab_size=len(tokenizer), **sizes))
    with torch.no_grad():
        unet.conv_in.bias.fill_(1.001)
    before = unet.conv_in.weight.detach().clone()

    export(tmp_path, unet, autoencoder, text_encoder, tokenizer)

    weights = load_file(tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert torch.equal(weights["conv_in.weight"], before.half().bfloat16().half())  # eight binary digits
    assert torch.equal(weights["conv_in.bias"], torch.full((8,), 1.001, dtype=torch.float16))
    assert json.loads((tmp_path / "pnpvideo.json").read_text()) == CARD
    assert (
        json.loads((tmp_path / "scheduler" / "scheduler_config.json").read_text())["beta_schedule"] == "scaled_linear"
    )
    assert read_learned_words(tmp_path) == {"ball", "red"}
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {
        *("unet", "vae", "text_encoder", "tokenizer", "scheduler")
    }
