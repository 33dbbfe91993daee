"""Examine a checkpoint of the world on unseen scenes: autoencoder, judge, captioner, samples and inversion."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.noise import seeded_noise
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, State
from pnpvideo.injection import Conditioning
from pnpvideo.measure.footage import pixels
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.sharpness import sharpness
from pnpvideo.miniature.recipe.data import HELD_OUT, training_instant
from pnpvideo.miniature.world import STYLES, Instant, caption, random_scene, render
from pnpvideo.miniature.world.captions import GROUND_WORDS, SHAPE_WORDS, SKY_WORDS
from pnpvideo.miniature.world.questions import ATTRIBUTES, QUESTIONS, answers
from pnpvideo.miniature.world.scene import COLOURS
from pnpvideo.settings.models import resolve
from pnpvideo.video.pixels import psnr
from pnpvideo.words.caption import Captioner


@dataclass(frozen=True, kw_only=True)
class Exam:
    """Size of the examination.

    pictures: for the autoencoder, in each style. judge_pictures: for judge and captioner. samples: generated pictures,
    with ``guidance`` and ``sample_steps``. round_trips: inversions for each of ``round_trip_steps`` and
    ``round_trip_rounds`` (corrections a step).
    """

    pictures: int = 16
    judge_pictures: int = 300
    samples: int = 96
    guidance: float = 5.0
    sample_steps: int = 25
    round_trips: int = 4
    round_trip_steps: tuple[int, ...] = (50, 200)
    round_trip_rounds: tuple[int, ...] = (0, 1)


def examine(model: str, exam: Exam) -> Iterator[tuple[str, float, str]]:
    """Yield (name, figure, unit); units: "dB", "share", "ms".

    model: alias or folder, with the folders "judge" and "captioner" in it. Raises ModelError.
    """
    backend = StableDiffusion(model, torch.device("cpu"), torch.float32)
    found = []
    for style in STYLES:
        pictures = [training_picture(HELD_OUT + number, style, backend.size) for number in range(exam.pictures)]
        rows = list(autoencoder_figures(backend, pictures, style))
        found.append(rows[0][1])
        yield from rows
    yield "autoencoder, all styles", float(np.mean(found)), "dB"
    folder = Path(resolve(model))
    judge = Judge(str(folder / "judge"))
    for attribute, share in judge_accuracy(judge, exam.judge_pictures).items():
        yield f"judge, {attribute}", share, "share"
    for attribute, share in caption_accuracy(Captioner(folder / "captioner"), exam.judge_pictures).items():
        yield f"captioner, {attribute}", share, "share"
    for attribute, share in sample_accuracy(backend, judge, exam).items():
        yield f"drawn as asked, {attribute}", share, "share"
    for steps, rounds in product(exam.round_trip_steps, exam.round_trip_rounds):
        numbers = range(HELD_OUT, HELD_OUT + exam.round_trips)
        trips = [round_trip(backend, number, "cartoon", steps, rounds=rounds) for number in numbers]
        corrected = f", corrections a step: {rounds}" if rounds else ""
        yield f"inversion and back, {steps} steps{corrected}", float(np.mean(trips)), "dB"
    yield f"one network evaluation of one frame, {torch.get_num_threads()} threads", evaluation_ms(backend), "ms"


def autoencoder_figures(
    backend: Backend, pictures: Sequence[np.ndarray], what: str
) -> Iterator[tuple[str, float, str]]:
    """PSNR, gradient and Laplacian of pictures (1, h, w, 3) after encoding and decoding, as rows of ``examine``."""
    back = [backend.decode(backend.encode(source)) for source in pictures]
    yield f"autoencoder, {what}", float(np.mean([psnr(*pair) for pair in zip(back, pictures, strict=True)])), "dB"
    gradient, laplacian = sharpness([each[0] for each in back], [each[0] for each in pictures])
    yield f"autoencoder, {what}, gradient kept", gradient, "share"
    yield f"autoencoder, {what}, Laplacian kept", laplacian, "share"


def evaluation_ms(backend: Backend, times: int = 15) -> float:
    """Milliseconds of one evaluation of the network for one frame at the native size, median of ``times``."""
    x = torch.zeros(1, *backend.latent_shape(backend.size, backend.size))
    words, spent = backend.embed("").batch(), []
    for _ in range(times):
        started = time.perf_counter()
        backend.predict(x, 500, words)
        spent.append(time.perf_counter() - started)
    return 1000 * float(np.median(spent))


def unseen_instant(number: int) -> Instant:
    """Held-out scene ``number`` with one thing, at a moment that depends on the number."""
    return random_scene(HELD_OUT + number, things=1).at((number * 0.618) % 1.0)


def style_of(number: int) -> str:
    """The style of picture ``number``; styles take turns."""
    return list(STYLES)[number % len(STYLES)]


def judge_accuracy(judge: Judge, count: int) -> dict[str, float]:
    """Attribute -> share of ``count`` renders of unseen scenes that the judge classifies correctly, zero-shot."""
    scenes = [unseen_instant(number) for number in range(count)]
    pictures = [render_picture(scene, style_of(number)) for number, scene in enumerate(scenes)]
    return answer_accuracy(judge, pictures, scenes, [style_of(number) for number in range(count)])


def answer_accuracy(
    judge: Judge, pictures: Sequence[np.ndarray], scenes: Sequence[Instant], styles: Sequence[str]
) -> dict[str, float]:
    """Attribute -> share of the pictures, of those that show it, that the judge classifies correctly."""
    shares = {}
    for attribute in ATTRIBUTES:
        found = judge.classify(pictures, QUESTIONS[attribute])
        true = [answers(scene, style)[attribute] for scene, style in zip(scenes, styles, strict=True)]
        shares[attribute] = float(np.mean([a in t for a, t in zip(found, true, strict=True) if t]))
    return shares


def caption_accuracy(captioner: Captioner, count: int) -> dict[str, float]:
    """Attribute -> share of ``count`` renders whose caption names it correctly."""
    scenes, styles = [unseen_instant(number) for number in range(count)], [style_of(number) for number in range(count)]
    captions = captioner.captions([render_picture(scene, style) for scene, style in zip(scenes, styles, strict=True)])
    named = [read_caption(text) for text in captions]
    shares = {}
    for attribute in ATTRIBUTES:
        true = [answers(scene, style)[attribute] for scene, style in zip(scenes, styles, strict=True)]
        shares[attribute] = float(np.mean([n[attribute] in t for n, t in zip(named, true, strict=True) if t]))
    return shares


def read_caption(text: str) -> dict[str, str | None]:
    """Parse a caption: attribute -> value, or None if it is not mentioned; of several values the first."""
    padded = f" {' '.join(text.lower().replace(',', ' ').split())} "

    def first(choices: dict[str, tuple[str, ...]]) -> str | None:
        """The answer whose wording comes first in the text; of wordings at the same place, the longest."""
        found = [
            (padded.find(f" {word} "), -len(word), answer)
            for answer, words in choices.items()
            for word in words
            if f" {word} " in padded
        ]
        return min(found)[2] if found else None

    return {
        "style": first(QUESTIONS["style"]),
        "shape": first(SHAPE_WORDS),
        "colour": first({colour: (colour,) for colour in COLOURS}),
        "ground": first(GROUND_WORDS),
        "sky": first(SKY_WORDS),
    }


def sample_accuracy(backend: Backend, judge: Judge, exam: Exam) -> dict[str, float]:
    """Attribute -> share of samples, prompted with plain captions of unseen scenes, in which the judge finds it."""
    scenes, styles = [unseen_instant(n) for n in range(exam.samples)], [style_of(n) for n in range(exam.samples)]
    prompts = [caption(scene, style) for scene, style in zip(scenes, styles, strict=True)]
    return answer_accuracy(judge, draw(backend, prompts, exam), scenes, styles)


def draw(backend: Backend, prompts: Sequence[str], exam: Exam) -> list[np.ndarray]:
    """A picture for each prompt, (h, w, 3) uint8, with the guidance and steps of ``exam``."""
    pictures: list[np.ndarray] = []
    for first in range(0, len(prompts), 8):
        batch = prompts[first : first + 8]
        pictures += list(sample_pictures(backend, batch, exam.sample_steps, exam.guidance, seed=first))
    return pictures


def sample_pictures(backend: Backend, prompts: Sequence[str], steps: int, guidance: float, seed: int) -> np.ndarray:
    """Sample one picture for each prompt with DDIM at the native size: (n, h, w, 3) uint8."""
    schedule, guide = backend.schedule(steps), Guidance(scale=guidance)
    shape = backend.latent_shape(backend.size, backend.size)
    noise = seeded_noise((len(prompts), *shape), seed)
    words = [backend.embed(prompt).batch() for prompt in prompts]
    empty = backend.embed("").batch(len(words))

    def denoise(x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        both = backend.predict(torch.cat((x, x)), schedule.timestep(level), Conditioning.concat([empty, *words]))
        lanes = dict(zip(("empty", "positive"), both.chunk(2), strict=True))
        return x, guide.combine(lanes, steps - level, steps)

    *_, done = sample(denoise, State(noise, steps), schedule, DDIM())
    return backend.decode(done.x)


def render_picture(scene: Instant, style: str, size: int = 256) -> np.ndarray:
    """Render a scene of the world: (size, size, 3) uint8."""
    return pixels(render([scene], [style], size)[style][0])


def training_picture(scene: int, style: str, size: int) -> np.ndarray:
    """Render scene number ``scene`` at its training moment: (1, size, size, 3) uint8."""
    return render_picture(training_instant(scene), style, size)[None]


def autoencoder_psnr(backend: Backend, scene: int, style: str) -> float:
    """PSNR in dB of a picture of the world after encoding and decoding."""
    source = training_picture(scene, style, backend.size)
    return psnr(backend.decode(backend.encode(source)), source)


def round_trip(backend: Backend, scene: int, style: str, steps: int, size: int | None = None, rounds: int = 0) -> float:
    """Signal-to-noise ratio in dB, 10 log10(sum x^2 / sum (x' - x)^2), of a latent after inversion and sampling.

    Both use the caption at guidance 1 and ``steps`` steps. size: in pixels; None: native. rounds: corrections of each
    inversion step.
    """
    latent = backend.encode(training_picture(scene, style, size or backend.size))
    words = backend.embed(caption(training_instant(scene), style)).batch()
    schedule = backend.schedule(steps)

    def predict(x: Tensor, level: float) -> Tensor:
        return backend.predict(x, schedule.timestep(level), words)

    *_, noisy = invert(predict, State(latent, 0), schedule, DDIM(), rounds)
    *_, back = sample(lambda x, level: (x, predict(x, level)), noisy, schedule, DDIM())
    return float(10 * torch.log10(latent.square().sum() / (back.x - latent).square().sum()))
