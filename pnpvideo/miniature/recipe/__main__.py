"""``python -m pnpvideo.miniature.recipe --folder DIR --minutes M``: train the miniature, in slices of any length.

Each slice goes on exactly where the last one stopped; when all stages are done, the weights are exported.
"""

import argparse
import time
from pathlib import Path

import torch

from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.recipe.autoencoder import (
    autoencoder_stage,
    encode_pictures,
    latent_scale,
    new_autoencoder,
)
from pnpvideo.miniature.recipe.data import SHARD, SIZE, Pictures, make_shards
from pnpvideo.miniature.recipe.denoiser import Denoiser, denoiser_stage, new_unet
from pnpvideo.miniature.recipe.export import export
from pnpvideo.miniature.recipe.stage import averaged_weights, train
from pnpvideo.miniature.recipe.words import new_text_encoder, new_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pnpvideo.miniature.recipe", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where data, checkpoints and logs are kept")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of this slice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scenes", type=int, default=4000)
    parser.add_argument("--full-size-scenes", type=int, default=800, help="scenes encoded at full size")
    parser.add_argument("--autoencoder-steps", type=int, default=8000)
    parser.add_argument("--small-steps", type=int, default=6500, help="denoiser steps on half-size pictures, batch 32")
    parser.add_argument("--full-steps", type=int, default=1600, help="denoiser steps at full size, batch 16")
    parser.add_argument("--export", type=Path, default=WEIGHTS, help="folder that receives the finished checkpoint")
    asked = parser.parse_args()
    folder, device = asked.folder, asked.device
    deadline = time.monotonic() + 60 * asked.minutes

    make_shards(folder / "data", 0, -(-asked.scenes // SHARD))
    pictures = Pictures(folder / "data", asked.scenes)
    torch.manual_seed(0)
    if not train(autoencoder_stage(pictures, asked.autoencoder_steps, device), folder, deadline, device):
        return
    autoencoder = new_autoencoder()
    autoencoder.load_state_dict(averaged_weights(folder, "autoencoder"))
    autoencoder.register_to_config(scaling_factor=latent_scale(autoencoder, pictures))
    encode_pictures(autoencoder, pictures, SIZE // 2, folder / "latents-small.npy", device)
    full = Pictures(folder / "data", asked.full_size_scenes)
    encode_pictures(autoencoder, full, SIZE, folder / "latents-full.npy", device)

    torch.manual_seed(1)
    tokenizer = new_tokenizer(folder / "tokenizer")
    model = Denoiser(new_unet(), new_text_encoder(tokenizer))
    stages = (
        ("denoiser-small", pictures, "latents-small.npy", 32, asked.small_steps, 1.5e-3, 0.998),
        ("denoiser-full", full, "latents-full.npy", 16, asked.full_steps, 6e-4, 0.99),
    )
    for name, shown, latents, batch, steps, rate, average in stages:
        stage = denoiser_stage(
            name,
            model,
            tokenizer,
            shown,
            folder / latents,
            batch=batch,
            steps=steps,
            rate=rate,
            average=average,
            device=device,
        )
        if not train(stage, folder, deadline, device):
            return
        model.load_state_dict(averaged_weights(folder, name))
    export(asked.export, model, autoencoder, tokenizer)


if __name__ == "__main__":
    main()
