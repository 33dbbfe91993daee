"""Run sets of options on the chosen frames of one clip, through the engine that translates whole clips."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.diffusion.solvers import State
from pnpvideo.engine.control import brought_conditions
from pnpvideo.engine.estimate import fit_memory
from pnpvideo.engine.run import Run
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.events import Event, Notice, Progress, Report
from pnpvideo.explore.cells import FORMAT, Cell
from pnpvideo.explore.frames import ChosenFrames, ChosenOnly, choose_frames
from pnpvideo.measure.evaluations import count_evaluations
from pnpvideo.pipeline import translated_shots
from pnpvideo.report import file_hash
from pnpvideo.settings.effective import without_effect
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.clip import Clip
from pnpvideo.video.masks import Masks
from pnpvideo.video.pixels import working_size
from pnpvideo.video.read import without_repeats
from pnpvideo.words.prompt_weights import check_weights
from pnpvideo.words.script import Captions


@dataclass(frozen=True)
class Outcome:
    """What a cell gave.

    pictures: one for each chosen frame, (h, w, 3 or 4) uint8 at the clip's own size, as a translation writes it.
    evaluations: of the network, one frame in one lane each. resolved: the options with all values decided. texts: the
    prompts of each shot. model: fingerprint.
    """

    cell: Cell
    pictures: tuple[np.ndarray, ...]
    seconds: float
    evaluations: int
    resolved: Options
    texts: tuple[dict[str, str], ...]
    model: str

    def record(self) -> dict[str, Any]:
        """The cell as JSON holds it, with what it took."""
        return {
            **self.cell.record(),
            "model": self.resolved.model,
            "model_fingerprint": self.model,
            "texts": list(self.texts),
            "seconds": round(self.seconds, 3),
            "evaluations": self.evaluations,
        }


class Trials:
    """Tries cells on a few frames of one clip; whatever they have in common is computed once and kept in the store.

    reading: its groups ``reading`` and ``runtime.window`` say what is read. frames: see choose_frames. stage: the
    name of one trial in progress events. Raises InputError and OptionError as ``translate`` does.
    """

    def __init__(
        self,
        input: Path | str,
        reading: Options,
        report: Report,
        *,
        frames: int | Sequence[int | Fraction] = 3,
        stage: str = "cell",
    ) -> None:
        self.input, self.stage, self.report = Path(input), stage, without_repeats(report)
        self._span = reading.reading.frames
        self.report(Progress(stage="read", done=0, total=1, unit="input"))
        self.clip: Clip = reading.reading.open(input, self.report)
        self.chosen: ChosenFrames = choose_frames(self.clip, frames, reading.runtime.window)
        self.report(Progress(stage="read", done=1, total=1, unit="input"))
        self._captions: Captions = {}
        self._beginnings: dict[str, State] = {}
        self._loaded: tuple[tuple[str, ...], Backend] | None = None

    def run_all(self, cells: Iterable[Cell]) -> list[Outcome]:
        """The outcomes in the order of ``cells``; cells that share a model follow each other while they run."""
        cells = list(cells)
        order = sorted(range(len(cells)), key=lambda number: cells[number].options().model_key)
        found = {number: self.run(cells[number], done, len(cells)) for done, number in enumerate(order)}
        return [found[number] for number in range(len(cells))]

    def run(self, cell: Cell, done: int = 0, total: int = 0) -> Outcome:
        """Translate the chosen frames with the options of ``cell``, as trial ``done`` + 1 of ``total``."""
        options, info = self._engine_options(cell), self.clip.info
        prompts = options.prompts
        check_weights(cell.prompt, prompts.negative, prompts.source_prompt)
        backend = self.backend(options)
        report = self._listener(done, total)
        size = working_size(info.width, info.height, options.sampling.size or backend.size, backend.multiple)
        frames = self.chosen.frames
        fitted = fit_memory(backend, options, len(frames), size, report)
        about = {"clip": self.input.name, "model": options.model, "size": f"{size[0]} x {size[1]}"}
        with count_evaluations(backend) as evaluations:
            started = time.monotonic()
            run = Run.of(backend, fitted, Store(options.runtime.store, report=report, about=about), report)
            run = replace(run, beginnings=self._beginnings, rough=True)
            for message in without_effect(run.options, len(frames), prediction=backend.prediction):
                report(Notice(message=message))
            translator = ClipTranslator(run, cell.prompt, len(frames), self._captions)
            display, masks = (info.width, info.height), self._masks(options)
            conditions = self._conditions(options, size)
            made = translated_shots(translator, self.chosen.shots, display, masks, conditions)
            pictures = tuple(picture for _, picture, _ in made)
            translator.check()  # without finish(): finished cells stay in the store, for the next preview and a pick
            seconds = time.monotonic() - started
        if (limit := options.runtime.store_limit) is not None:
            run.store.prune(limit)
        self.report(
            Progress(stage=self.stage, done=done + 1, total=total, unit=self.stage, overall=_share(done + 1, total))
        )
        texts = tuple(translator.texts)
        return Outcome(cell, pictures, seconds, sum(evaluations), run.options, texts, backend.fingerprint)

    def record(self, outcomes: Iterable[Outcome]) -> dict[str, Any]:
        """A JSON-ready file of cells; see cells.CellFile."""
        from pnpvideo import __version__

        places = zip(self.chosen.frames, self.chosen.seconds, strict=True)
        return {
            "format": FORMAT,
            "pnpvideo": __version__,
            "input": str(self.input.absolute()),
            "input_sha256": file_hash(self.input) if self.input.is_file() else None,
            "frames": [{"frame": frame.index, "seconds": round(seconds, 6)} for frame, seconds in places],
            "cells": [outcome.record() for outcome in outcomes],
        }

    def _engine_options(self, cell: Cell) -> Options:
        """The options of the cell. Frames that were chosen far apart stand for keyframes: where the options leave it
        open, all of them are, so that none is drawn from another that shows something else."""
        options = cell.options()
        if len(self.chosen.frames) == 1 or "keyframe_every" in cell.values or "keyframe_every" not in options.flat():
            return options
        return options.changed({"keyframe_every": 1})

    def backend(self, options: Options) -> Backend:
        """The model of these options; one at a time is in memory."""
        key = options.model_key
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None
            self.report(Progress(stage="load", done=0, total=1, unit="model"))
            self._loaded = key, load(options.model, options.runtime, self.report, options.customization)
            self.report(Progress(stage="load", done=1, total=1, unit="model"))
        return self._loaded[1]

    def _masks(self, options: Options) -> ChosenOnly[np.ndarray] | None:
        if options.region.mask is None:
            return None
        return ChosenOnly(Masks(options.region.mask, self.clip, self._span, self.report), self.clip, self.chosen)

    def _conditions(self, options: Options, size: tuple[int, int]) -> ChosenOnly[tuple[np.ndarray, ...]] | None:
        whole = brought_conditions(options.control, self.clip, self._span, size, self.report)
        return None if whole is None else ChosenOnly(whole, self.clip, self.chosen)

    def _listener(self, done: int, total: int) -> Report:
        """Pass notices on; of the engine's progress, only its share of all trials."""

        def listen(event: Event) -> None:
            if isinstance(event, Progress) and event.overall is not None:
                share = _share(done + event.overall, total)
                event = Progress(stage=self.stage, done=done, total=total, unit=self.stage, overall=share)
            elif isinstance(event, Progress):
                return
            self.report(event)

        return listen


def _share(done: float, total: int) -> float | None:
    return done / total if total else None
