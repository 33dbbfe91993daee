"""``python -m pnpvideo.miniature.recipe --folder DIR --minutes M``: train the miniature, in slices of any length.

Each slice goes on exactly where the last one stopped; when a stage is done, the next begins, and after the last the
weights are exported. ``--only STAGE`` trains one stage (its predecessors must be done) and exports nothing.
"""

import argparse
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPModel

from pnpvideo.backends.loading import load_network
from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.recipe.autoencoder import (
    autoencoder_stage,
    decoder_stage,
    encode_pictures,
    latent_scale,
    new_autoencoder,
)
from pnpvideo.miniature.recipe.captioner import captioner_stage, new_caption_tokenizer, new_captioner
from pnpvideo.miniature.recipe.data import SHARD, SIZE, Pictures, make_shards
from pnpvideo.miniature.recipe.denoiser import denoiser_stage, new_unet
from pnpvideo.miniature.recipe.export import export, export_captioner, export_judge
from pnpvideo.miniature.recipe.judge import Taught, judge_stage, new_judge
from pnpvideo.miniature.recipe.stage import Stage, averaged_weights, train
from pnpvideo.miniature.recipe.words import new_tokenizer

STAGES = ("judge", "sight", "captioner", "autoencoder", "decoder", "denoiser-small", "denoiser-full")
STEPS = {
    "judge": 4000,
    "sight": 6000,
    "captioner": 8000,
    "autoencoder": 24000,
    "decoder": 4000,
    "denoiser-small": 30000,
    "denoiser-full": 8000,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pnpvideo.miniature.recipe", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where data, checkpoints and logs are kept")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of this slice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scenes", type=int, default=4000)
    parser.add_argument("--half-size-scenes", type=int, default=8000, help="scenes more, drawn at half size alone")
    parser.add_argument("--full-size-scenes", type=int, default=1500, help="scenes encoded at full size")
    parser.add_argument("--batch", type=float, default=1.0, help="multiple of the batches meant for a CPU")
    parser.add_argument("--workers", type=int, default=1, help="threads that share a batch, on a CPU: one a core")
    parser.add_argument("--only", choices=STAGES, help="train this stage alone")
    parser.add_argument("--start-from", type=Path, help="an earlier edition whose autoencoder and UNet to begin with")
    parser.add_argument("--export", type=Path, default=WEIGHTS, help="folder that receives the finished checkpoint")
    for name, steps in STEPS.items():
        parser.add_argument(f"--{name}-steps", type=int, default=steps)
    asked = parser.parse_args()
    for flag, scenes in (("--scenes", asked.scenes), ("--half-size-scenes", asked.half_size_scenes)):
        if scenes % SHARD:
            parser.error(f"{flag} is {scenes}; accepted are multiples of {SHARD}, the scenes of a shard")
    _Recipe(asked).run()


class _Recipe:
    """The stages in order; each returns whether it is done."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked, self.folder, self.device = asked, asked.folder, asked.device
        self.deadline = time.monotonic() + 60 * asked.minutes
        whole, more = asked.scenes // SHARD, asked.half_size_scenes // SHARD
        make_shards(self.folder / "data", whole, self.device, more)
        self.pictures = Pictures(self.folder / "data", asked.scenes, asked.half_size_scenes)
        self.tokenizer = new_tokenizer(self.folder / "tokenizer")
        self.caption_tokenizer = new_caption_tokenizer(self.folder / "caption-tokenizer")

    def run(self) -> None:
        chosen = [self.asked.only] if self.asked.only else list(STAGES)
        stages = {
            "judge": self.judge,
            "sight": self.judge,
            "captioner": self.captioner,
            "autoencoder": self.autoencoder,
            "decoder": self.decoder,
        }
        stages |= {"denoiser-small": self.denoiser, "denoiser-full": self.denoiser}
        for name in chosen:
            torch.manual_seed(STAGES.index(name))
            if not stages[name](name):
                return
        if not self.asked.only:
            self.export()

    def train(self, stage: Stage) -> bool:
        return train(stage, self.folder, self.deadline, self.device, self.asked.workers)

    def batch(self, meant: int) -> int:
        """The pictures of a step that one worker takes."""
        return max(1, round(meant * self.asked.batch / self.asked.workers))

    def steps(self, name: str) -> int:
        return getattr(self.asked, f"{name.replace('-', '_')}_steps")

    def judge(self, name: str) -> bool:
        """Both towers first; then sight alone, with the words at rest that the denoiser is trained on."""
        taught = Taught(new_judge(self.tokenizer))
        if name == "sight":
            taught.load_state_dict(averaged_weights(self.folder, "judge"))
        stage = judge_stage(
            name,
            taught,
            self.tokenizer,
            self.pictures,
            words=name == "judge",
            batch=self.batch(96),
            steps=self.steps(name),
            rate=1e-3,
            device=self.device,
        )
        return self.train(stage)

    def captioner(self, name: str) -> bool:
        model = new_captioner(self.caption_tokenizer)
        stage = captioner_stage(
            model,
            self.caption_tokenizer,
            self.pictures,
            batch=self.batch(64),
            steps=self.steps(name),
            rate=1e-3,
            device=self.device,
        )
        return self.train(stage)

    def autoencoder(self, name: str) -> bool:
        model = new_autoencoder()
        if self.asked.start_from:
            earlier = load_network(AutoencoderKL, self.asked.start_from / "vae")
            model.load_state_dict(earlier.state_dict())
        stage = autoencoder_stage(
            model,
            self.pictures,
            batch=self.batch(16),
            steps=self.steps(name),
            rate=2e-3,
            device=self.device,
        )
        return self.train(stage)

    def decoder(self, name: str) -> bool:
        model = new_autoencoder()
        model.load_state_dict(averaged_weights(self.folder, "autoencoder"))
        stage = decoder_stage(
            model, self.pictures, batch=self.batch(1), steps=self.steps(name), rate=3e-4, device=self.device
        )
        return self.train(stage)

    def denoiser(self, name: str) -> bool:
        small = name == "denoiser-small"
        size, batch, rate, average = (SIZE // 2, 32, 1.5e-3, 0.999) if small else (SIZE, 16, 6e-4, 0.998)
        count = min(self.asked.scenes, self.asked.full_size_scenes)
        latents = self.folder / f"latents-{size}.npy"
        shown = self.pictures if small else Pictures(self.folder / "data", count)
        encode_pictures(self.trained_autoencoder(), shown, size, latents, self.device)
        unet = new_unet()
        if not small:
            unet.load_state_dict(averaged_weights(self.folder, "denoiser-small"))
        elif self.asked.start_from:
            earlier = load_network(UNet2DConditionModel, self.asked.start_from / "unet")
            unet.load_state_dict(earlier.state_dict())
        stage = denoiser_stage(
            name,
            unet,
            self.trained_judge().text_model.to(self.device),
            self.tokenizer,
            latents,
            batch=self.batch(batch),
            steps=self.steps(name),
            rate=rate,
            average=average,
            device=self.device,
        )
        return self.train(stage)

    def trained_judge(self) -> CLIPModel:
        taught = Taught(new_judge(self.tokenizer))
        latest = "sight" if (self.folder / "sight.pt").exists() else "judge"
        taught.load_state_dict(averaged_weights(self.folder, latest))
        return taught.judge.eval().requires_grad_(False)

    def trained_autoencoder(self) -> AutoencoderKL:
        autoencoder = new_autoencoder()
        latest = "decoder" if (self.folder / "decoder.pt").exists() else "autoencoder"
        autoencoder.load_state_dict(averaged_weights(self.folder, latest))
        autoencoder.register_to_config(scaling_factor=latent_scale(autoencoder, self.pictures))
        return autoencoder.eval()

    def export(self) -> None:
        unet = new_unet()
        unet.load_state_dict(averaged_weights(self.folder, "denoiser-full"))
        judge, captioner = self.trained_judge(), new_captioner(self.caption_tokenizer)
        captioner.load_state_dict(averaged_weights(self.folder, "captioner"))
        export(self.asked.export, unet, self.trained_autoencoder(), judge.text_model, self.tokenizer)
        export_judge(self.asked.export / "judge", judge, self.tokenizer)
        export_captioner(self.asked.export / "captioner", captioner, self.caption_tokenizer)


if __name__ == "__main__":
    main()
