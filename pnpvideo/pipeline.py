"""The whole translation, from reading the input to writing the output."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.engine.control import brought_conditions
from pnpvideo.engine.estimate import fit_memory
from pnpvideo.engine.run import Run
from pnpvideo.engine.shot import ClipTranslator, Drawn
from pnpvideo.engine.window import WindowTranslator, translate_window
from pnpvideo.errors import OptionError
from pnpvideo.events import Notice, Progress, Report, ignore
from pnpvideo.report import run_report
from pnpvideo.settings.effective import without_effect
from pnpvideo.settings.options import Options
from pnpvideo.sidecar import settle_sidecar
from pnpvideo.store import Store
from pnpvideo.video.clip import Clip, ClipInfo, Frame, Shot
from pnpvideo.video.conditions import Conditions
from pnpvideo.video.destination import check_output, report_left_out
from pnpvideo.video.drawings import Drawings, find_held_drawings
from pnpvideo.video.masks import Masks
from pnpvideo.video.pixels import to_display, working_size
from pnpvideo.video.shots import shots
from pnpvideo.video.step_picture import StepPictureFile, step_picture_path
from pnpvideo.video.write import Writer
from pnpvideo.words.prompt_weights import check_weights


class MaskSource(Protocol):
    """Edit masks in the order of the frames."""

    def take(self, count: int) -> list[np.ndarray]:
        """The masks (h, w) uint8 of the next ``count`` frames."""
        ...


class ConditionSource(Protocol):
    """What ControlNets follow that comes from files, in the order of the frames."""

    def take(self, count: int) -> list[tuple[np.ndarray, ...]]:
        """Of each of the next ``count`` frames, one (h, w, 3) uint8 a control, at the working size."""
        ...


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished translation. output: the path written. clip: the input's properties, None for a generated picture.
    report: JSON-ready facts of the run."""

    output: Path
    clip: ClipInfo | None
    report: dict[str, Any]


def translate(
    input: Path | str | None,
    prompt: str | None,
    output: Path | str,
    options: Options | None = None,
    *,
    backend: Backend | None = None,
    report: Report = ignore,
    windows: WindowTranslator = translate_window,
) -> Result:
    """Translate the clip or still ``input`` into what ``prompt`` says, and write it to ``output``.

    prompt: None: ``options.prompts.change`` or ``.directions`` state the edit. input: None with ``options.generate``:
    the picture that guides the result (the guidance picture) is sampled from the source prompt. backend: a loaded
    model; None: load ``options.model``. windows: what translates each window. Raises PnPVideoError (see errors.py), and
    leaves the output path as it was. Calling it again after an interruption resumes from the steps in the store.
    """
    options = options or Options()
    started = time.monotonic()
    check_weights(prompt, options.prompts.negative, options.prompts.source_prompt)
    report(Progress(stage="read", done=0, total=1, unit="input"))
    clip = open_input(input, options, report)
    report(Progress(stage="read", done=1, total=1, unit="input"))
    check_output(output, clip.info if clip else None, options.overwrite)
    pictures = None
    if options.runtime.preview_every is not None:
        pictures = step_picture_path(options.runtime.preview_file, output, clip.info.path if clip else None)
    if clip is not None:
        report_left_out(clip, output, report)
    region = options.region
    masks = None if region.mask is None or clip is None else Masks(region.mask, clip, options.reading.frames, report)
    report(Progress(stage="load", done=0, total=1, unit="model"))
    backend = backend or load(options.model, options.runtime, report, options.customization)
    report(Progress(stage="load", done=1, total=1, unit="model"))
    info = clip.info if clip else _generated_info(backend, options)
    if pictures is not None:
        report = StepPictureFile(pictures, (info.width, info.height), report)
    run, conditions = prepare_run(input, clip, info, options, backend, report)
    unused = {} if options.runtime.preview_every else {"preview_vae": "there is no preview_every"}
    for message in without_effect(run.options, info.frames, unused, prediction=backend.prediction):
        report(Notice(message=message))
    translator = ClipTranslator(run, prompt, info.frames_about, windows=windows)
    frames = clip.frames() if clip else iter([_blank(info)])
    with Writer(output, info, overwrite=options.overwrite, span_seconds=clip.span_seconds if clip else None) as writer:
        for frame, picture, shot in translated(translator, frames, (info.width, info.height), masks, conditions):
            writer.append(picture, frame.pts_seconds, frame.duration_seconds)
            report(
                Progress(
                    stage="write",
                    done=writer.frames,
                    total=info.frames or 0,
                    unit="frame",
                    shot=shot + 1,
                    overall=translator.overall(),
                )
            )
        if masks and not options.reading.allow_partial:  # a damaged input may have fewer frames than its mask
            masks.finish()
        if conditions and not options.reading.allow_partial:
            conditions.finish()
        translator.check()
    translator.finish()
    if (limit := options.runtime.store_limit) is not None:
        run.store.prune(limit)
    facts = run_report(input, prompt, options, writer.output, translator, time.monotonic() - started)
    settle_sidecar(facts, options, report)
    return Result(output=writer.path, clip=clip.info if clip else None, report=facts)


def translated(
    translator: ClipTranslator,
    frames: Iterable[Frame],
    display: tuple[int, int],
    masking: MaskSource | None = None,
    conditions: ConditionSource | None = None,
) -> Iterator[tuple[Frame, np.ndarray, int]]:
    """Translate frames in order; yield (frame, its translated picture (h, w, 3 or 4) uint8, its shot's index).

    display: (width, height) of the pictures. The frames are cut into shots, and attention never crosses a cut. Only one
    window is in memory at a time.
    """
    parts = shots(iter(frames), translator.run.options.runtime.window)
    return translated_shots(translator, parts, display, masking, conditions)


def translated_shots(
    translator: ClipTranslator,
    parts: Iterable[Shot],
    display: tuple[int, int],
    masking: MaskSource | None = None,
    conditions: ConditionSource | None = None,
) -> Iterator[tuple[Frame, np.ndarray, int]]:
    """As ``translated``, for frames that are cut into shots, or parts of long ones, already."""
    options = translator.run.options
    for shot, drawings, drawn in drawn_shots(translator, parts, display, masking, conditions):
        for frame, drawing in zip(shot.frames, drawings.drawing_of_frame, strict=True):
            may_change = None if drawn.masks is None else drawn.masks[drawing]
            if drawings.masks is not None:
                may_change = drawings.masks[drawing] / np.float32(255)
            source = None if options.generate else frame.pixels
            yield frame, to_display(drawn.pictures[drawing], source, display, may_change), shot.index
        del shot, drawings, drawn, frame  # free this window before the next one is read


def drawn_shots(
    translator: ClipTranslator,
    parts: Iterable[Shot],
    display: tuple[int, int],
    masking: MaskSource | None,
    conditions: ConditionSource | None,
) -> Iterator[tuple[Shot, Drawings, Drawn]]:
    """Each shot, or part of a long one, with its drawings as they were found and as they were translated."""
    last_drawing = None
    for shot in parts:
        masks = masking.take(len(shot.frames)) if masking else None
        brought = conditions.take(len(shot.frames)) if conditions else None
        # repeated frames are translated once
        drawings = find_held_drawings(shot, masks, last_drawing, brought)
        with translator.run.backend.busy:
            drawn = translator.translate(shot, drawings, display)
        yield shot, drawings, drawn
        last_drawing = drawings.last()
        del shot, masks, brought, drawings, drawn


def open_input(input: Path | str | None, options: Options, report: Report) -> Clip | None:
    """The input as the options read it; None for a picture that is to be generated."""
    if options.generate:
        if input is not None:
            raise OptionError(f"generate draws the guidance picture itself; an input was given too: {str(input)!r}")
        return None
    if input is None:
        raise OptionError("no input was given; name a clip or a still, or ask for generate with a source prompt")
    return options.reading.open(input, report)


def prepare_run(
    input: Path | str | None, clip: Clip | None, info: ClipInfo, options: Options, backend: Backend, report: Report
) -> tuple[Run, Conditions | None]:
    """The run of a clip, and what its ControlNets follow that comes from files."""
    size = working_size(info.width, info.height, options.sampling.size or backend.size, backend.multiple)
    conditions = brought_conditions(options.control, clip, options.reading.frames, size, report) if clip else None
    fitted = fit_memory(backend, options, info.frames, size, report)
    about = {"clip": Path(input or "").name, "model": options.model, "size": f"{size[0]} x {size[1]}"}
    return Run.of(backend, fitted, Store(options.runtime.store, report=report, about=about), report), conditions


def _generated_info(backend: Backend, options: Options) -> ClipInfo:
    side = options.sampling.size or backend.size
    return ClipInfo(path=None, kind="still", width=side, height=side, frames=1)


def _blank(info: ClipInfo) -> Frame:
    """A black frame in place of an input, for a generated picture."""
    return Frame(0, Fraction(0), np.zeros((info.height, info.width, 3), np.uint8))
