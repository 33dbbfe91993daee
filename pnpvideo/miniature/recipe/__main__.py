"""``python -m pnpvideo.miniature.recipe --folder DIR --minutes M``: train the miniature, in slices of any length.

Each slice goes on exactly where the last one stopped; when a stage is done, the next begins, and after the last the
weights are exported. ``--only STAGE`` trains one stage (its predecessors must be done) and exports nothing. The number
of the process stands in DIR/pid: it may be stopped (SIGSTOP), continued (SIGCONT) and killed at any moment.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import BertTokenizer, BlipForConditionalGeneration, CLIPModel, CLIPTokenizer

from pnpvideo.backends.loading import load_network, load_reader
from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.recipe.autoencoder import (
    SIDES,
    autoencoder_stage,
    encode_pictures,
    new_autoencoder,
    standardise_latents,
)
from pnpvideo.miniature.recipe.captioner import captioner_stage, new_caption_tokenizer, new_captioner
from pnpvideo.miniature.recipe.data import SHARD, SIZE, ArtPictures, Pictures, make_art_shards, make_shards
from pnpvideo.miniature.recipe.denoiser import WIDTHS, denoiser_stage, new_unet, samples
from pnpvideo.miniature.recipe.export import export, export_captioner, export_judge
from pnpvideo.miniature.recipe.grow import grown
from pnpvideo.miniature.recipe.inherit import inherit
from pnpvideo.miniature.recipe.judge import Taught, judge_stage, new_judge
from pnpvideo.miniature.recipe.stage import Stage, averaged_weights, train
from pnpvideo.miniature.recipe.words import new_tokenizer

STEPS = {
    "autoencoder": 60000,
    "whole-autoencoder": 6000,
    "judge": 4000,
    "sight": 6000,
    "captioner": 8000,
    "denoiser": 100000,
}
STAGES = tuple(STEPS)
ART_SHARE = 0.25
"""Of every batch of autoencoder and denoiser: pictures of the world of art."""
ART_TOLD = 0.4
"""Of every batch of judge and captioner, who have to learn its names."""
PRECISIONS = {"fastest": None, "fp32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pnpvideo.miniature.recipe", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where data, checkpoints and logs are kept")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of this slice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scenes", type=int, default=4000)
    parser.add_argument("--half-size-scenes", type=int, default=8000, help="scenes more, drawn at half size alone")
    parser.add_argument("--art-scenes", type=int, default=4000, help="scenes of the world of art; 0: without it")
    parser.add_argument("--art", type=Path, help="where the packages of drawings are or go; without: FOLDER/art")
    parser.add_argument("--batch", type=float, default=1.0, help="multiple of the batches meant for a CPU")
    parser.add_argument("--workers", type=int, default=1, help="threads that share a batch, on a CPU: one a core")
    parser.add_argument("--precision", choices=tuple(PRECISIONS), default="fastest", help="timed when a slice begins")
    parser.add_argument(
        "--widths", type=_widths, default=WIDTHS, help="channels of the denoiser's levels: 48,96,128,128"
    )
    parser.add_argument("--fit", action="store_true", help="end the stage, cooldown included, with this slice")
    parser.add_argument("--only", choices=STAGES, help="train this stage alone")
    parser.add_argument("--start-from", type=Path, help="an earlier edition to begin with; the denoiser begins anew")
    parser.add_argument("--export", type=Path, default=WEIGHTS, help="folder that receives the finished checkpoint")
    for name, steps in STEPS.items():
        parser.add_argument(f"--{name}-steps", type=int, default=steps)
    asked = parser.parse_args()
    for flag in ("scenes", "half_size_scenes", "art_scenes"):
        scenes = getattr(asked, flag)
        if scenes % SHARD:
            flag = flag.replace("_", "-")
            parser.error(f"--{flag} is {scenes}; accepted are multiples of {SHARD}, the scenes of a shard")
    _Recipe(asked).run()


def _widths(text: str) -> tuple[int, ...]:
    widths = tuple(int(width) for width in text.split(","))
    if len(widths) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} has {len(widths)} widths; accepted are four, with commas between")
    return widths


class _Recipe:
    """The stages in order; each returns whether it is done."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked, self.folder, self.device = asked, asked.folder, asked.device
        self.deadline = time.monotonic() + 60 * asked.minutes
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pid").write_text(f"{os.getpid()}\n")
        data = self.folder / "data"
        make_shards(data, asked.scenes // SHARD, self.device, asked.half_size_scenes // SHARD)
        self.pictures = Pictures(data, asked.scenes, asked.half_size_scenes)
        self.worlds: list[tuple[Pictures, float]] = [(self.pictures, 1.0)]
        self.told = self.worlds
        if asked.art_scenes:
            make_art_shards(data, asked.art_scenes // SHARD, asked.art or self.folder / "art")
            art = ArtPictures(data, asked.art_scenes)
            self.worlds = [(self.pictures, 1 - ART_SHARE), (art, ART_SHARE)]
            self.told = [(self.pictures, 1 - ART_TOLD), (art, ART_TOLD)]
        self.tokenizer = new_tokenizer(self.folder / "tokenizer")
        self.caption_tokenizer = new_caption_tokenizer(self.folder / "caption-tokenizer")

    def run(self) -> None:
        stages: dict[str, Callable[[str], Stage]] = {
            "autoencoder": self.autoencoder,
            "whole-autoencoder": self.autoencoder,
            "judge": self.judge,
            "sight": self.judge,
            "captioner": self.captioner,
            "denoiser": self.denoiser,
        }
        dtype = PRECISIONS[self.asked.precision]
        for name in [self.asked.only] if self.asked.only else list(STAGES):
            torch.manual_seed(STAGES.index(name))
            if not train(
                stages[name](name),
                self.folder,
                self.deadline,
                self.device,
                workers=self.asked.workers,
                dtype=dtype,
                fit=self.asked.fit,
            ):
                return
        if not self.asked.only:
            self.export()

    def batch(self, meant: int) -> int:
        """The pictures of a step that one worker takes."""
        return max(1, round(meant * self.asked.batch / self.asked.workers))

    def steps(self, name: str) -> int:
        return getattr(self.asked, f"{name.replace('-', '_')}_steps")

    def autoencoder(self, name: str) -> Stage:
        """On crops first, then on whole pictures."""
        whole, model = name == "whole-autoencoder", new_autoencoder()
        if whole:
            model.load_state_dict(averaged_weights(self.folder, "autoencoder"))
        elif self.asked.start_from:
            model = grown(load_network(AutoencoderKL, self.asked.start_from / "vae"), model)
        return autoencoder_stage(
            name,
            model,
            self.worlds,
            sides=((SIZE, 1.0),) if whole else SIDES,
            batch=self.batch(16),
            steps=self.steps(name),
            rate=2e-4 if whole else 1e-3,
            device=self.device,
        )

    def judge(self, name: str) -> Stage:
        """Both towers first; then sight alone, with the words at rest that the denoiser is trained on."""
        taught, start = Taught(new_judge(self.tokenizer)), self.asked.start_from
        if name == "sight":
            taught.load_state_dict(averaged_weights(self.folder, "judge"))
        elif start:
            earlier, reader = load_network(CLIPModel, start / "judge"), load_reader(CLIPTokenizer, start / "judge")
            inherit(taught.judge, earlier, self.tokenizer.get_vocab(), reader.get_vocab())
        return judge_stage(
            name,
            taught,
            self.tokenizer,
            self.told,
            words=name == "judge",
            batch=self.batch(96),
            steps=self.steps(name),
            rate=1e-3,
            device=self.device,
        )

    def captioner(self, name: str) -> Stage:
        captioner, start = new_captioner(self.caption_tokenizer), self.asked.start_from
        if start:
            earlier = load_network(BlipForConditionalGeneration, start / "captioner")
            reader = load_reader(BertTokenizer, start / "captioner")
            inherit(captioner, earlier, self.caption_tokenizer.get_vocab(), reader.get_vocab())
        return captioner_stage(
            captioner,
            self.caption_tokenizer,
            self.told,
            batch=self.batch(64),
            steps=self.steps(name),
            rate=1e-3,
            device=self.device,
        )

    def denoiser(self, name: str) -> Stage:
        autoencoder, cached = self.trained_autoencoder(), []
        for number, (pictures, share) in enumerate(self.worlds):
            path = self.folder / f"latents-{'art' if number else 'world'}.npy"
            encode_pictures(autoencoder, pictures, path, self.device)
            cached.append(samples(path, pictures, self.tokenizer, share, self.device))
        return denoiser_stage(
            new_unet(self.asked.widths),
            self.trained_judge().text_model.to(self.device),
            self.tokenizer,
            cached,
            batch=self.batch(32),
            steps=self.steps(name),
            rate=6e-4,
            device=self.device,
        )

    def trained_judge(self) -> CLIPModel:
        taught = Taught(new_judge(self.tokenizer))
        latest = "sight" if (self.folder / "sight.pt").exists() else "judge"
        taught.load_state_dict(averaged_weights(self.folder, latest))
        return taught.judge.eval().requires_grad_(False)

    def trained_autoencoder(self) -> AutoencoderKL:
        autoencoder = new_autoencoder()
        latest = "whole-autoencoder" if (self.folder / "whole-autoencoder.pt").exists() else "autoencoder"
        autoencoder.load_state_dict(averaged_weights(self.folder, latest))
        standardise_latents(autoencoder, [pictures for pictures, _ in self.worlds])
        return autoencoder.eval()

    def export(self) -> None:
        unet = new_unet(self.asked.widths)
        unet.load_state_dict(averaged_weights(self.folder, "denoiser"))
        judge, captioner = self.trained_judge(), new_captioner(self.caption_tokenizer)
        captioner.load_state_dict(averaged_weights(self.folder, "captioner"))
        export(self.asked.export, unet, self.trained_autoencoder(), judge.text_model, self.tokenizer)
        export_judge(self.asked.export / "judge", judge, self.tokenizer)
        export_captioner(self.asked.export / "captioner", captioner, self.caption_tokenizer)


if __name__ == "__main__":
    main()
