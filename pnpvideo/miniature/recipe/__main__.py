"""``python -m pnpvideo.miniature.recipe --folder DIR --minutes M``: train the miniature, in runs of any length.

Each run resumes exactly where the last one stopped. When a stage is done, the next begins; after the last, the weights
are exported. ``--only STAGE`` trains one stage, whose predecessors must be done, and exports nothing. DIR/pid holds the
process number: the process may be stopped (SIGSTOP), continued (SIGCONT) and killed at any moment.

Stages begin with the weights in ``kept/``, where there are any: what earlier machines trained.
"""

import argparse
import os
import shutil
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
from pnpvideo.miniature.recipe.data import SHARD, SIZE, ArtPictures, Pictures, Sources, make_art_shards, make_shards
from pnpvideo.miniature.recipe.denoiser import WIDTHS, denoiser_stage, load_latents, new_unet
from pnpvideo.miniature.recipe.export import export, export_captioner, export_judge
from pnpvideo.miniature.recipe.judge import JudgeWithPatchHead, judge_stage, new_judge
from pnpvideo.miniature.recipe.memory import reuse_freed_memory
from pnpvideo.miniature.recipe.stage import Stage, TrainingSettings, averaged_weights, has_weights, kept_path, train
from pnpvideo.miniature.recipe.tokenizer import new_tokenizer
from pnpvideo.miniature.recipe.warm_start import copy_known_weights, grow_autoencoder

STEPS = {
    "autoencoder": 60000,
    "whole-autoencoder": 6000,
    "judge": 4000,
    "sight": 6000,
    "captioner": 8000,
    "half-size-denoiser": 10000,
    "denoiser": 100000,
}
STAGES = tuple(STEPS)
CONTINUED_BY = {"autoencoder": "whole-autoencoder", "judge": "sight", "half-size-denoiser": "denoiser"}
"""Stages of the same weights: where the second has begun, the first is no longer needed."""
ART_SHARE = 0.25
"""Share of drawings in every batch of autoencoder and denoiser."""
ART_SHARE_OF_TEXT = 0.4
"""Share of drawings in every batch of judge and captioner, which have to learn the names."""
KEPT = Path(__file__).parent / "kept"
"""Weights of the stages that have been trained so far (``keep_weights``)."""
PRECISIONS = {"fastest": None, "fp32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pnpvideo.miniature.recipe", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where data, checkpoints and logs are kept")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of this run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scenes", type=int, default=4000)
    parser.add_argument("--half-size-scenes", type=int, default=8000, help="further scenes, at half size only")
    parser.add_argument("--art-scenes", type=int, default=4000, help="scenes of drawings; 0: none")
    parser.add_argument("--art", type=Path, help="folder of the packages of drawings; default: FOLDER/art")
    parser.add_argument("--batch", type=float, default=1.0, help="multiple of the batches meant for a CPU")
    parser.add_argument("--workers", type=int, default=1, help="processes that share a batch; on a CPU one a core")
    parser.add_argument("--precision", choices=tuple(PRECISIONS), default="fastest", help="timed when a run begins")
    parser.add_argument(
        "--widths", type=_widths, default=WIDTHS, help="channels of the denoiser's levels: 48,96,128,64"
    )
    parser.add_argument("--fit", action="store_true", help="end the stage, cooldown included, with this run")
    parser.add_argument("--only", choices=STAGES, help="train this stage alone")
    parser.add_argument("--start-from", type=Path, help="an earlier edition to start from; the denoiser starts anew")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of weights that stages begin with")
    parser.add_argument("--export", type=Path, default=WEIGHTS, help="folder that receives the finished checkpoint")
    for name, steps in STEPS.items():
        parser.add_argument(f"--{name}-steps", type=int, default=steps)
    arguments = parser.parse_args()
    for flag in ("scenes", "half_size_scenes", "art_scenes"):
        scenes = getattr(arguments, flag)
        if scenes % SHARD:
            flag = flag.replace("_", "-")
            parser.error(f"--{flag} is {scenes}; accepted are multiples of {SHARD}, the scenes of a shard")
    reuse_freed_memory()
    _Recipe(arguments).run()


def _widths(text: str) -> tuple[int, ...]:
    widths = tuple(int(width) for width in text.split(","))
    if len(widths) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} has {len(widths)} widths; accepted are four, with commas between")
    return widths


class _Recipe:
    """All stages in order, with the arguments of the command line."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.folder, self.device = arguments, arguments.folder, arguments.device
        self.deadline = time.monotonic() + 60 * arguments.minutes
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pid").write_text(f"{os.getpid()}\n")
        for name in STAGES:
            kept = kept_path(arguments.kept, name)
            if kept.exists() and not has_weights(self.folder, name):
                shutil.copy(kept, self.folder)
        data = self.folder / "data"
        make_shards(data, arguments.scenes // SHARD, self.device, arguments.half_size_scenes // SHARD)
        pictures = Pictures(data, arguments.scenes, arguments.half_size_scenes)
        self.sources: Sources = [(pictures, 1.0)]
        self.text_sources = self.sources
        if arguments.art_scenes:
            make_art_shards(data, arguments.art_scenes // SHARD, arguments.art or self.folder / "art")
            art = ArtPictures(data, arguments.art_scenes)
            self.sources = [(pictures, 1 - ART_SHARE), (art, ART_SHARE)]
            self.text_sources = [(pictures, 1 - ART_SHARE_OF_TEXT), (art, ART_SHARE_OF_TEXT)]
        self.tokenizer = new_tokenizer(self.folder / "tokenizer")
        self.caption_tokenizer = new_caption_tokenizer(self.folder / "caption-tokenizer")

    def run(self) -> None:
        stages: dict[str, Callable[[str], Stage]] = {
            "autoencoder": self.autoencoder,
            "whole-autoencoder": self.autoencoder,
            "judge": self.judge,
            "sight": self.judge,
            "captioner": self.captioner,
            "half-size-denoiser": self.denoiser,
            "denoiser": self.denoiser,
        }
        dtype = PRECISIONS[self.arguments.precision]
        for name in [self.arguments.only] if self.arguments.only else list(STAGES):
            if name in CONTINUED_BY and self.latest(name) != name:
                continue
            torch.manual_seed(STAGES.index(name))
            if not train(
                stages[name](name),
                self.folder,
                self.deadline,
                self.device,
                workers=self.arguments.workers,
                dtype=dtype,
                fit=self.arguments.fit,
            ):
                return
        if not self.arguments.only:
            self.export()

    def settings(self, name: str, batch: int, rate: float) -> TrainingSettings:
        """Settings of stage ``name``. batch: pictures a step on a CPU with one worker, scaled by --batch."""
        count = max(1, round(batch * self.arguments.batch / self.arguments.workers))
        steps = getattr(self.arguments, f"{name.replace('-', '_')}_steps")
        return TrainingSettings(batch=count, steps=steps, rate=rate, device=self.device)

    def autoencoder(self, name: str) -> Stage:
        """The stage on crops, and "whole-autoencoder", which continues it on whole pictures."""
        whole, model = name == "whole-autoencoder", new_autoencoder()
        if whole and has_weights(self.folder, "autoencoder"):
            model.load_state_dict(averaged_weights(self.folder, "autoencoder"))
        elif self.arguments.start_from:
            model = grow_autoencoder(load_network(AutoencoderKL, self.arguments.start_from / "vae"), model)
        sides = ((SIZE, 1.0),) if whole else SIDES
        settings = self.settings(name, 16, 2e-4 if whole else 1e-3)
        return autoencoder_stage(name, model, self.sources, sides=sides, settings=settings)

    def judge(self, name: str) -> Stage:
        """The stage of both towers, and "sight", which trains the vision tower alone: the denoiser is trained on the
        text tower as it is after the first."""
        model, start = JudgeWithPatchHead(new_judge(self.tokenizer)), self.arguments.start_from
        if name == "sight" and has_weights(self.folder, "judge"):
            model.load_state_dict(averaged_weights(self.folder, "judge"))
        elif start:
            earlier, reader = load_network(CLIPModel, start / "judge"), load_reader(CLIPTokenizer, start / "judge")
            copy_known_weights(model.judge, earlier, self.tokenizer.get_vocab(), reader.get_vocab())
        settings, train_text = self.settings(name, 96, 1e-3), name == "judge"
        return judge_stage(name, model, self.tokenizer, self.text_sources, train_text=train_text, settings=settings)

    def captioner(self, name: str) -> Stage:
        captioner, start = new_captioner(self.caption_tokenizer), self.arguments.start_from
        if start:
            earlier = load_network(BlipForConditionalGeneration, start / "captioner")
            reader = load_reader(BertTokenizer, start / "captioner")
            copy_known_weights(captioner, earlier, self.caption_tokenizer.get_vocab(), reader.get_vocab())
        return captioner_stage(captioner, self.caption_tokenizer, self.text_sources, self.settings(name, 64, 1e-3))

    def denoiser(self, name: str) -> Stage:
        """The stage at half size, where a sample costs a fifth, and "denoiser", which continues it at full size."""
        half, autoencoder, datasets = name == "half-size-denoiser", self.trained_autoencoder(), []
        for number, (pictures, share) in enumerate(self.sources):
            path = self.folder / f"{'half-size-' if half else ''}latents-{'art' if number else 'world'}.npy"
            encode_pictures(autoencoder, pictures, path, self.device, half_size=half, workers=self.arguments.workers)
            datasets.append(load_latents(path, pictures, self.tokenizer, share, self.device))
        unet, text_encoder = new_unet(self.arguments.widths), self.trained_judge().text_model.to(self.device)
        if not half and has_weights(self.folder, "half-size-denoiser"):
            unet.load_state_dict(averaged_weights(self.folder, "half-size-denoiser"))
        settings = self.settings(name, *((64, 2e-4) if half else (32, 1e-4)))
        return denoiser_stage(name, unet, text_encoder, self.tokenizer, datasets, settings, autoencoder)

    def latest(self, name: str) -> str:
        """Stage ``name``, or the one that continues it if that has begun."""
        return CONTINUED_BY[name] if has_weights(self.folder, CONTINUED_BY[name]) else name

    def trained_judge(self) -> CLIPModel:
        model = JudgeWithPatchHead(new_judge(self.tokenizer))
        model.load_state_dict(averaged_weights(self.folder, self.latest("judge")))
        return model.judge.eval().requires_grad_(False)

    def trained_autoencoder(self) -> AutoencoderKL:
        autoencoder = new_autoencoder()
        autoencoder.load_state_dict(averaged_weights(self.folder, self.latest("autoencoder")))
        standardise_latents(autoencoder, [pictures for pictures, _ in self.sources])
        return autoencoder.eval()

    def export(self) -> None:
        unet, folder = new_unet(self.arguments.widths), self.arguments.export
        unet.load_state_dict(averaged_weights(self.folder, "denoiser"))
        judge, captioner = self.trained_judge(), new_captioner(self.caption_tokenizer)
        captioner.load_state_dict(averaged_weights(self.folder, "captioner"))
        export(folder, unet, self.trained_autoencoder(), judge.text_model, self.tokenizer)
        export_judge(folder / "judge", judge, self.tokenizer)
        export_captioner(folder / "captioner", captioner, self.caption_tokenizer)


if __name__ == "__main__":
    main()
