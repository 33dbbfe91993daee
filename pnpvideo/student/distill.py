"""Distil a translation into a student: the teacher makes pairs, the good ones are kept, the student learns them."""

import time
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.engine.estimate import fit_memory
from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Notice, Progress, Report, ignore
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.sharpness import sharpness
from pnpvideo.settings.effective import effective, without_effect
from pnpvideo.settings.options import Options
from pnpvideo.student.apply import Applier
from pnpvideo.student.examples import Examples, read_examples
from pnpvideo.student.inputs import read_pictures
from pnpvideo.student.losses import EncoderTower
from pnpvideo.student.network import parameters_of, student_device
from pnpvideo.student.pairs import Examiner, Filter, Pair, make_pairs
from pnpvideo.student.student_file import Student, StudentCard, save_student
from pnpvideo.student.teacher import EngineTeacher, overlap_of
from pnpvideo.student.train import Recipe, Training, lesson_of, load_training, save_training
from pnpvideo.video.pixels import psnr

TRAINING = "training.safetensors"
SAVE_SECONDS = 30.0
UNUSED = {
    **dict.fromkeys(("preview_every", "preview_file", "preview_vae"), "the pictures of the pairs are kept anyway"),
    "sidecar": "a student's card says how it was made",
}
"""Options that distilling does not use, and why."""


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """How a student of a task is made.

    pairs: that the teacher makes at most. per_clip: frames that are taken of each clip. held_out: share of the accepted
    pairs that the student is measured on and does not see. thing: a word of the source's text whose place must stay,
    by the filter's ``least_overlap``. judge: a CLIP model, see measure.judge.
    """

    pairs: int = 400
    per_clip: int = 4
    held_out: float = 0.1
    filter: Filter = field(default_factory=Filter)
    thing: str | None = None
    recipe: Recipe = field(default_factory=Recipe)
    judge: str = "miniature"

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise OptionError(f"pairs is {self.pairs}; accepted are 2 or more: one is held out")
        if not 0 < self.held_out < 1:
            raise OptionError(f"held_out is {self.held_out}; accepted is a share above 0 and below 1")


def distill(
    inputs: Path,
    prompt: str | None,
    output: Path,
    options: Options,
    how: Distillation,
    *,
    work: Path | None = None,
    report: Report = ignore,
) -> Student:
    """Make a student of what ``options`` and ``prompt`` (None: the options' change) do to the pictures in ``inputs``.

    output: the student's folder. work: folder of pairs and training, from which an interrupted run goes on; None:
    OUTPUT-work. Raises PnPVideoError; what the teacher has made is kept.
    """
    work = work or output.with_name(f"{output.name}-work")
    if output.exists() and not options.overwrite:
        raise OptionError(f"{output} exists; name another output, or replace it: -y, or overwrite=True in Python")
    report(Progress(stage="load", done=0, total=1, unit="model"))
    backend = load(options.model, options.runtime, report, options.customization)
    judge = Judge(how.judge, str(backend.device))
    report(Progress(stage="load", done=1, total=1, unit="model"))
    side = options.sampling.size or backend.size
    options = fit_memory(backend, options, 1, (side, side), report)
    for message in without_effect(effective(options, backend), 1, UNUSED, prediction=backend.prediction):
        report(Notice(message=message))
    teacher = EngineTeacher(backend, options, prompt, report)
    pairs = _pairs(inputs, work, teacher, judge, how, (side, side), report)
    accepted = how.filter.of(pairs)
    report(Notice(message=f"{len(accepted)} of {len(pairs)} pairs pass the filter"))
    learned, held_out = split(accepted, how.held_out)
    examples = read_examples([(work / pair.source, work / pair.result) for pair in learned], (side, side))
    device = student_device(backend.device)
    tower = autoencoder_tower(backend, device)
    if tower is None and how.recipe.weights.perceptual:
        report(
            Notice(message="the model's autoencoder is a tiny one, so the student is trained without features of it")
        )
    training = train(examples, how.recipe, work / TRAINING, tower, report, device=device)
    network = training.average
    card = StudentCard(
        shape=how.recipe.shape,
        size=(side, side),
        about=_about(prompt, options),
        teacher=teacher.recipe(),
        training={
            "recipe": how.recipe.plain(),
            "filter": asdict(how.filter),
            "pairs": len(pairs),
            "accepted": len(accepted),
            "parameters": parameters_of(network),
            "seconds_of_pairs": round(sum(pair.seconds for pair in pairs)),
            "seconds_of_training": round(training.seconds),
        },
    )
    student = Student(network, card)
    figures = examine(student, held_out, work, judge)
    student = replace(student, card=replace(card, figures=figures))
    save_student(student, output, overwrite=options.overwrite)
    if (limit := options.runtime.store_limit) is not None:
        teacher.store.prune(limit)
    return student


def split(pairs: list[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn and to hold out, in order, evenly spread; frames of one clip stay together.

    If all pairs are of one clip, they are split all the same. Raises InputError if there is but one pair.
    """
    if len(pairs) < 2:
        raise InputError("one pair is left after the filter; accepted are 2 or more, because one is held out")
    groups = [pair.name.rpartition("#")[0] or pair.name for pair in pairs]  # the clip, or the still itself
    if len(set(groups)) == 1:
        groups = [pair.name for pair in pairs]
    names = list(dict.fromkeys(groups))
    count = min(max(1, round(share * len(names))), len(names) - 1)
    chosen = {names[round(number)] for number in np.linspace(0, len(names) - 1, count)}
    return (
        [pair for pair, group in zip(pairs, groups, strict=True) if group not in chosen],
        [pair for pair, group in zip(pairs, groups, strict=True) if group in chosen],
    )


def train(
    examples: Examples,
    recipe: Recipe,
    state: Path,
    tower: EncoderTower | None,
    report: Report = ignore,
    *,
    device: torch.device | str = "cpu",
) -> Training:
    """Train to the recipe's last step; ``state`` is saved twice a minute, and an interrupted run goes on from it.

    device: of the training, where the tower has to be too. A state of other examples, another tower or another recipe
    is replaced.
    """
    training = load_training(state, recipe, device, lesson_of(examples, tower))
    if 0 < training.step < recipe.steps:
        report(Notice(message=f"training goes on at step {training.step}"))
    elif training.step == 0 and state.exists():
        report(Notice(message="training begins anew: the saved one is of other examples or another recipe"))
    saved = time.monotonic()
    for figures in training.steps(examples, tower):
        report(Progress(stage="train", done=figures.step, total=recipe.steps, unit="step"))
        if time.monotonic() - saved > SAVE_SECONDS:
            save_training(training, state)
            saved = time.monotonic()
    save_training(training, state)
    return training


def examine(student: Student, held_out: list[Pair], work: Path, judge: Judge) -> dict[str, float]:
    """Figures of a student on held-out pairs, beside its teacher's.

    psnr: to the teacher's result, dB. gain: of the judge's cosine with the text, over the source; and the teacher's.
    sharpness: mean gradient over the teacher's.
    """
    size = student.card.size
    examples = read_examples([(work / pair.source, work / pair.result) for pair in held_out], size)
    applier = Applier(student, precision="float32")
    made = [applier(picture) for picture in examples.source]
    gains = [
        float(after - before)
        for picture, result, pair in zip(examples.source, made, held_out, strict=True)
        for before, after in [judge.cosines([picture, result], [pair.text])[:, 0]]
    ]
    return {
        "held_out": len(held_out),
        "psnr_to_teacher": round(psnr(np.stack(made), examples.target), 2),
        "gain": round(float(np.mean(gains)), 4),
        "gain_of_teacher": round(float(np.mean([pair.gain for pair in held_out])), 4),
        "sharpness_to_teacher": round(sharpness(made, list(examples.target))[0], 3),
    }


def autoencoder_tower(backend: Backend, device: torch.device | str = "cpu") -> EncoderTower | None:
    """A copy of the encoder of the model's autoencoder on ``device``; None if it is no AutoencoderKL of diffusers."""
    autoencoder = getattr(backend, "vae", None)
    if not isinstance(autoencoder, AutoencoderKL):
        return None
    return EncoderTower(deepcopy(autoencoder.encoder).to(device))


def _pairs(
    inputs: Path,
    work: Path,
    teacher: EngineTeacher,
    judge: Judge,
    how: Distillation,
    size: tuple[int, int],
    report: Report,
) -> list[Pair]:
    def gain(source: np.ndarray, result: np.ndarray, text: str) -> float:
        before, after = judge.cosines([source, result], [text])[:, 0]
        return float(after - before)

    examiner = Examiner(gain, overlap_of(teacher.backend, how.thing)) if how.thing else Examiner(gain)
    pictures = read_pictures(inputs, size, how.per_clip, report)
    recipe = {**teacher.recipe(), "judge": judge.fingerprint, "thing": how.thing}
    return list(make_pairs(pictures, teacher, examiner, work, recipe, how.pairs, report))


def _about(prompt: str | None, options: Options) -> str:
    if prompt is not None:
        return prompt
    change = options.prompts.change
    return (
        f"{change[0]} to {change[1]}"
        if change
        else ", ".join(Path(name).stem for name, _ in options.prompts.directions)
    )
