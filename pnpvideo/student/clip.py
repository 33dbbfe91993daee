"""Translate a clip through a student of its own: the engine translates keyframes, the student learns and does the rest.

    read, choose keyframes -> translate them together -> train until a keyframe that is held back gains no more -> apply

After Texler and others, Interactive Video Stylization Using Few-Shot Patch-Based Training (2020).
"""

import copy
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pnpvideo import pipeline
from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.coherence.joint import JointAttention
from pnpvideo.engine.run import Run
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Progress, Report, ignore
from pnpvideo.pipeline import Result
from pnpvideo.report import run_report
from pnpvideo.settings.effective import effective, without_effect
from pnpvideo.settings.options import Options
from pnpvideo.sidecar import settle_sidecar
from pnpvideo.store import Store
from pnpvideo.student.apply import Applier, write_translated
from pnpvideo.student.examples import Drawing, Examples, Motions
from pnpvideo.student.keyframes import choose_keyframes, joined, neighbours
from pnpvideo.student.losses import Weights
from pnpvideo.student.network import SHAPES, Generator, student_device
from pnpvideo.student.student_file import Student, StudentCard
from pnpvideo.student.train import Recipe, Training
from pnpvideo.video.clip import Clip, Shot
from pnpvideo.video.destination import check_output, describe_output, report_left_out, resolve_output
from pnpvideo.video.drawings import Drawings
from pnpvideo.video.pixels import psnr, to_working, working_size
from pnpvideo.video.shots import shots

POSITIONED = replace(SHAPES["small"], position=True)
"""A clip's student knows where a pixel is: on the world's orbit that was worth 4 dB (docs/students.md)."""
SHARING = 8
"""Every how many keyframes one shares its attention with all; with each of 17 the engine took 1.6 times as long, and
the pictures looked the same."""
STEPS = 600
"""Steps of training at most; on two cores half a minute."""
UNUSED = {
    **dict.fromkeys(("coherence", "keyframe_every"), "the keyframes of a student share their attention"),
    **dict.fromkeys(("preview_every", "preview_file", "preview_vae"), "a student gives no pictures on its way"),
    "memory": "the keyframes of a student are not fitted into a limit",
}
"""Options that translating with a student does not use, and why."""
GAIN = 0.2
"""dB by which a look at the held-back keyframes must be better to count."""


@dataclass(frozen=True, kw_only=True)
class ClipStudent:
    """How a clip's own student is made.

    every: frames between keyframes, about. neighbours: pairs of frames of each part of a shot whose motion is learned.
    check_every: steps between two looks at the keyframes that are held back; training stops after ``patience`` looks
    without a gain of GAIN dB. least_psnr: dB to the engine's own translation of those keyframes; a worse student is not
    used.
    """

    every: int = 8
    neighbours: int = 8
    check_every: int = 100
    patience: int = 2
    least_psnr: float = 22.0
    recipe: Recipe = field(
        default_factory=lambda: Recipe(
            shape=POSITIONED,
            drawing=Drawing(batch=4, patch=64, mirror=False),
            weights=Weights(perceptual=0, adversarial=0, temporal=20),
            steps=STEPS,
        )
    )

    def __post_init__(self) -> None:
        if self.every < 1:
            raise OptionError(f"every is {self.every}; accepted is a whole number from 1")


@dataclass(frozen=True, eq=False)
class Lesson:
    """What the student learns and is checked on, (n, h, w, 3) uint8 at the working size.

    source, target: all keyframes and their translations. held_back: indices of those that are only looked at.
    """

    source: np.ndarray
    target: np.ndarray
    held_back: tuple[int, ...]
    motions: Motions | None

    def examples(self) -> Examples:
        """The keyframes to learn from: all, where too few would be left."""
        learned = [index for index in range(len(self.source)) if index not in self.held_back]
        return Examples(self.source[learned], self.target[learned], self.motions)


def translate_clip(
    input: Path | str,
    prompt: str | None,
    output: Path | str,
    options: Options,
    how: ClipStudent | None = None,
    *,
    backend: Backend | None = None,
    report: Report = ignore,
) -> Result:
    """Translate a clip as ``pipeline.translate`` does, but only its keyframes by the engine.

    The report and the sidecar are those of a translation, with the figures of the student. Falls back to the engine for
    all frames, and says so, where the student is worse than ``how.least_psnr``. Raises PnPVideoError, and leaves the
    output path as it was. OptionError for options that the student cannot follow: a mask, keep_background, generate.
    """
    how, started = how or ClipStudent(), time.monotonic()
    if options.region.mask is not None or options.region.keep_background or options.generate:
        raise OptionError("a clip's student takes no mask, keep_background or generate; leave the student out")
    if options.control.brought():
        raise OptionError(
            "a clip's student takes no control from a file, since it sees keyframes alone; use one that is made from "
            "the input, such as canny, or leave the student out"
        )
    clip = options.reading.open(input, report)
    check_output(output, clip.info, options.overwrite)
    report_left_out(clip, output, report)
    backend = backend or load(options.model, options.runtime, report, options.customization)
    size = working_size(clip.info.width, clip.info.height, options.sampling.size or backend.size, backend.multiple)
    for message in without_effect(effective(options, backend), clip.info.frames, UNUSED, prediction=backend.prediction):
        report(Notice(message=message))
    lesson, translator = _lesson(clip, prompt, options, backend, how, size, report)
    translated = time.monotonic()
    network, score, steps = learn(lesson, how, report, device=student_device(backend.device))
    learned = time.monotonic()
    if score is not None and score < how.least_psnr:
        report(
            Notice(
                message=f"the student reaches {score:.1f} dB on a keyframe that it has not seen, less than "
                f"{how.least_psnr:g}; all frames are translated by the engine instead"
            )
        )
        return pipeline.translate(input, prompt, output, options, backend=backend, report=report)
    card = StudentCard(shape=network.shape, size=size, about=prompt or "a change")
    applier = Applier(Student(network, card), device=student_device(backend.device))
    path = write_translated(applier, clip, output, overwrite=options.overwrite, report=report)
    if (limit := options.runtime.store_limit) is not None:
        translator.run.store.prune(limit)
    named, seconds = describe_output(*resolve_output(output)), time.monotonic() - started
    facts: dict[str, Any] = {
        **run_report(input, prompt, options, named, translator, seconds),
        "student": {
            "keyframes": len(lesson.source),
            "held_back": len(lesson.held_back),
            "psnr": None if score is None else round(score, 2),
            "steps": steps,
            "seconds_of_keyframes": round(translated - started, 2),
            "seconds_of_training": round(learned - translated, 2),
            "seconds_of_applying": round(time.monotonic() - learned, 2),
        },
    }
    settle_sidecar(facts, options, report)
    return Result(output=path, clip=clip.info, report=facts)


def learn(
    lesson: Lesson, how: ClipStudent, report: Report = ignore, *, device: torch.device | str = "cpu"
) -> tuple[Generator, float | None, int]:
    """Train until the held-back keyframes gain no more: (the best network, its PSNR there in dB, steps).

    The PSNR is None where no keyframe could be held back; then all of the recipe's steps are taken.
    """
    training = Training(how.recipe, device)
    best, score, since, steps = copy.deepcopy(training.average), None, 0, 0
    for figures in training.steps(lesson.examples()):
        report(Progress(stage="train", done=figures.step, total=how.recipe.steps, unit="step"))
        steps = figures.step
        if steps % how.check_every and steps < how.recipe.steps:
            continue
        if not lesson.held_back:
            best = training.average
            continue
        found = _score(training.average, lesson)
        if score is None or found > score + GAIN:
            best, score, since = copy.deepcopy(training.average), found, 0
        else:
            since += 1
        if since >= how.patience:
            break
    return best, score, steps


def _score(network: Generator, lesson: Lesson) -> float:
    """PSNR of the student on the held-back keyframes, in dB."""
    card = StudentCard(shape=network.shape, size=(lesson.source.shape[2], lesson.source.shape[1]), about="")
    device = next(network.parameters()).device
    applier = Applier(Student(copy.deepcopy(network), card), device=device, precision="float32")
    made = np.stack([applier(lesson.source[index]) for index in lesson.held_back])
    return psnr(made, lesson.target[list(lesson.held_back)])


def _lesson(
    clip: Clip,
    prompt: str | None,
    options: Options,
    backend: Backend,
    how: ClipStudent,
    size: tuple[int, int],
    report: Report,
) -> tuple[Lesson, ClipTranslator]:
    """Choose the keyframes of each part of each shot and translate them together, with joint attention."""
    origins = {**options.origins, "coherence": "student", "keyframe_every": "student"}
    joint = replace(options, coherence=JointAttention(keyframe_every=SHARING), origins=origins)
    run = Run.of(backend, joint, Store(options.runtime.store, report=report), report)
    translator = ClipTranslator(run, prompt)
    sources: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    motions: list[Motions | None] = []
    display = clip.info.width, clip.info.height
    for shot in shots(iter(clip.frames()), options.runtime.window):
        chosen = choose_keyframes([frame.pixels for frame in shot.frames], how.every)
        frames = tuple(shot.frames[index] for index in chosen)
        part = Shot(shot.index, frames, shot.part, more=shot.more, last=shot.last)
        with backend.busy:
            drawn = translator.translate(part, Drawings(frames, tuple(range(len(frames)))), display)
        sources.append(to_working((frame.pixels for frame in frames), size))
        targets.append(drawn.pictures)
        motions.append(neighbours(list(to_working((frame.pixels for frame in shot.frames), size)), how.neighbours))
    translator.finish()
    source, target = np.concatenate(sources), np.concatenate(targets)
    held_back = (len(source) // 2,) if len(source) >= 4 else ()
    return Lesson(source, target, held_back, joined(motions)), translator
