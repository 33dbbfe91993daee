"""Examine a checkpoint on drawings by artists: its autoencoder, its judge, and what it draws from their names.

The autoencoder is shown names that are held out of all training; judge and network are asked for those that they have
learned, in pictures that they have not seen.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.model import Exam, autoencoder_figures, draw
from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.drawing import draw_scene
from pnpvideo.miniature.art.names import Name, held_out_names, training_names
from pnpvideo.miniature.art.scene import ArtInstant, ArtThing, PlainBackdrop, random_art
from pnpvideo.miniature.art.sprites import LOOKS, Sprites
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.settings.models import resolve

RANK = 5
"""A name counts as found if the judge has it among this many, of all trained names."""


def examine_drawings(model: str, sprites: Sprites, exam: Exam) -> Iterator[tuple[str, float, str]]:
    """Yield (name, figure, unit), as ``examine`` does; units: "dB", "share".

    exam.pictures: for the autoencoder, in each look. exam.judge_pictures, exam.samples: of all looks together. Raises
    ModelError, and PnPVideoError where drawings are missing.
    """
    backend = StableDiffusion(model, torch.device("cpu"), torch.float32)
    for look in LOOKS:
        scenes = [random_art(HELD_OUT + number, held_out_names()).start for number in range(exam.pictures)]
        pictures = [draw_scene(scene, look, sprites, backend.size)[None] for scene in scenes]
        yield from autoencoder_figures(backend, pictures, f"{look} drawings")
    judge = Judge(str(Path(resolve(model)) / "judge"))
    names, looks = spread_names(exam.judge_pictures)
    seen = [draw_scene(single(name), look, sprites) for name, look in zip(names, looks, strict=True)]
    yield f"judge, drawings named at rank {RANK} or better", share_found(judge, seen, names, looks), "share"
    names, looks = spread_names(exam.samples)
    prompts = [art_caption(single(name), look) for name, look in zip(names, looks, strict=True)]
    drawn = draw(backend, prompts, exam)
    yield f"drawn by name, at rank {RANK} or better", share_found(judge, drawn, names, looks), "share"


def spread_names(count: int) -> tuple[list[Name], list[str]]:
    """``count`` trained names, spread evenly over all, and their looks, which take turns."""
    names = training_names()
    return (
        [names[number * len(names) // count % len(names)] for number in range(count)],
        [LOOKS[number % len(LOOKS)] for number in range(count)],
    )


def single(name: Name) -> ArtInstant:
    """One thing alone in the middle, on white."""
    return ArtInstant(things=(ArtThing(name=name, x=0.5, y=0.5, size=0.7),), backdrop=PlainBackdrop(colour="white"))


def share_found(judge: Judge, pictures: Sequence[np.ndarray], names: Sequence[Name], looks: Sequence[str]) -> float:
    """The share of ``pictures`` of which the judge ranks the true name RANK-th or better among all trained names.

    Each is compared with the captions of all names in its own look.
    """
    known, found = training_names(), []
    columns = {name: number for number, name in enumerate(known)}
    for look in dict.fromkeys(looks):
        mine = [number for number, each in enumerate(looks) if each == look]
        cosines = judge.cosines([pictures[number] for number in mine], [art_caption(single(n), look) for n in known])
        true = torch.tensor([columns[names[number]] for number in mine])
        better = cosines > cosines.gather(1, true[:, None])
        found += (better.sum(1) < RANK).tolist()
    return float(np.mean(found))
