"""Cross-attention maps of a prompt's words, of the source and of an edit's result (arXiv 2302.03027, figure 4)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.coherence.independent import Independent
from pnpvideo.edits.word_mask import SHARPEST
from pnpvideo.engine.control import control_edits
from pnpvideo.engine.keys import run_key
from pnpvideo.engine.pictures import decode
from pnpvideo.engine.run import Run
from pnpvideo.engine.sampling import sample_window
from pnpvideo.errors import OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.injection import Kind
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.inspect.facts import level_facts, run_facts
from pnpvideo.inspect.record import POSITIVE, Level, WordRecorder, each_level, levels_near, source_pass
from pnpvideo.inspect.sheet import Cell, Row, as_heat, chunked, draw_sheet
from pnpvideo.inspect.subjects import Subject, network_in_use, new_run, some_frames, subjects
from pnpvideo.inspect.view import View, grid_of
from pnpvideo.scratch import scratch_folder
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.words.prompt_weights import plain_text

LINE = 12
"""Most words side by side; longer prompts go on below."""


@dataclass(frozen=True, eq=False)
class WordMap:
    """Maps of one picture, in one lane. tokens: of its prompt. by_level: (levels, tokens, h, w) float32."""

    subject: int
    picture: int
    lane: str
    tokens: tuple[str, ...]
    by_level: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(tokens, h, w): the mean over all levels."""
        mean: np.ndarray = self.by_level.mean(0)
        return mean


@dataclass(frozen=True, eq=False)
class WordMaps:
    """levels: of the maps, noisiest first. results: (pictures, h, w, 3) uint8 of each input; () without an edit."""

    run: Run
    subjects: list[Subject]
    levels: list[Level]
    maps: list[WordMap]
    results: list[np.ndarray]

    def sheet(self, height: int = 128, by_step: bool = False) -> Image.Image:
        """A row for the source and one for the result of each picture; by_step: a row for each level."""
        rows = [row for found in self.maps for row in self._rows(found, by_step)]
        grid = self.maps[0].by_level.shape[2:]
        title = (
            "Cross-attention: where the network looks for each word",
            f"Mean over heads and over the layers of {grid[1]} x {grid[0]} cells"
            + ("." if by_step else f", and over {len(self.levels)} noise levels."),
        )
        return draw_sheet(title, (), rows, height)

    def _rows(self, found: WordMap, by_step: bool) -> Iterator[Row]:
        source, edited = self.subjects[found.subject], found.lane != SOURCE
        picture = (self.results[found.subject] if edited else source.pixels)[found.picture]
        label = ["result" if edited else "source", f"{source.name}, frame {source.frames[found.picture]}"]
        if edited and (change := self.run.options.prompts.change):
            label.append(f"{change[0]} to {change[1]}")
        highest = [
            max(np.percentile(one, 99.5) for one in self._of_same_word(found, n)) for n in range(len(found.tokens))
        ]
        shown: list[tuple[list[str], np.ndarray]] = [(label, found.mean)]
        if by_step:
            levels = zip(self.levels, found.by_level, strict=True)
            shown = [([*label, level.title], maps) for level, maps in levels]
        for lines, maps in shown:
            words = zip(maps, found.tokens, highest, strict=True)
            cells = [Cell([as_heat(one, float(high))], word, [picture]) for one, word, high in words]
            for number, line in enumerate(chunked(cells, LINE)):
                yield Row(() if number else lines, [Cell([] if number else [picture]), *line])

    def _of_same_word(self, found: WordMap, token: int) -> list[np.ndarray]:
        """The mean maps that share a scale of colours: of this word in the source and in the result of a picture."""
        place = found.subject, found.picture
        others = [one for one in self.maps if (one.subject, one.picture) == place and token < len(one.tokens)]
        return [one.mean[token] for one in others if one.tokens[token] == found.tokens[token]]

    def facts(self) -> dict[str, Any]:
        maps = [
            {
                "input": found.subject,
                "picture": found.picture,
                "lane": found.lane,
                "cells": list(found.by_level.shape[2:]),
                "tokens": [
                    {"token": word, "mean": float(one.mean()), "largest": float(one.max())}
                    for word, one in zip(found.tokens, found.mean, strict=True)
                ],
            }
            for found in self.maps
        ]
        levels = [level_facts(level) for level in self.levels]
        return {
            "shows": "words",
            **run_facts(self.run, self.subjects),
            "prompts": [subject.window.script.prompt for subject in self.subjects] if self.results else [],
            "levels": levels,
            "maps": maps,
        }

    def tensors(self) -> dict[str, Tensor]:
        return {f"{one.subject}/{one.picture}/{one.lane}": torch.from_numpy(one.by_level) for one in self.maps}


def words(
    inputs: Sequence[Path | str],
    options: Options | None = None,
    view: View | None = None,
    *,
    prompt: str | None = None,
    cells: int = SHARPEST,
    backend: Backend | None = None,
    report: Report = ignore,
) -> WordMaps:
    """Map the cross-attention to each token of the source prompt, over the picture.

    With a ``prompt``, or a change in ``options``, the pictures are also translated, by the engine with the options'
    method and every frame by itself, and the same maps of the result are recorded on the way. view: which pictures, and
    without an edit which timesteps (default: every step). cells: of the layers with several sizes, those whose short
    side is nearest to this are shown. backend: as in ``features``. Raises PnPVideoError.
    """
    options, view = replace(options or Options(), coherence=Independent()), view or View(timesteps=())
    edited = prompt is not None or options.prompts.change is not None or bool(options.prompts.directions)
    run = new_run(options, backend, report, edited)
    sites = view.select_only(run.backend.sites, Kind.CROSS, part=None)
    levels = levels_near(run.schedule, view.timesteps)
    maps: list[WordMap] = []
    results: list[np.ndarray] = []
    with network_in_use(run.backend):
        choose = some_frames(view.pictures, view.at, len(inputs))
        found = subjects(run, inputs, choose, prompt if edited else "")
        for place, subject in enumerate(found):
            tokens = _tokens(run, subject)
            if not any(tokens.values()):
                raise OptionError(
                    f"nothing says what {subject.name} shows, so there are no words; give a source prompt"
                )
            recorder = WordRecorder(sites, {lane: len(each) for lane, each in tokens.items()})
            if edited:
                results.append(_translated(run, subject, recorder))
            else:
                for level in each_level(levels, report):
                    source_pass(run, subject, level, [recorder])
            recorded = {step for _, step in recorder.sums}  # a method may leave out the first steps
            levels = [level for level in levels if run.schedule.steps - level.number in recorded]
            if not levels:
                raise OptionError("the method samples at none of these timesteps; leave them out for all that it uses")
            maps += _maps(run, place, subject, recorder, levels, cells)
    return WordMaps(run, found, levels, maps, results)


def _translated(run: Run, subject: Subject, recorder: WordRecorder) -> np.ndarray:
    """Translate the pictures of an input with the recorder among the edits: (pictures, h, w, 3) uint8."""
    method, window, sites = run.options.method, subject.window, run.backend.sites
    edits = run.options.coherence.edits([recorder, *method.edits(sites)], sites, window.times)
    edits += control_edits(run.controls, window.conditions)
    with scratch_folder() as folder:  # a run that resumes from the store would skip steps
        alone = replace(run, store=Store(folder, report=run.report))
        key = run_key(run, window, "inspect", None)
        latents, _ = sample_window(alone, window, subject.trajectory, edits, None, key)
    return decode(run, window, latents)


def _tokens(run: Run, subject: Subject) -> dict[str, tuple[str, ...]]:
    """The tokens of the source prompt and of the prompt, by lane."""
    prompts = {SOURCE: subject.window.script.source, POSITIVE: subject.window.script.prompt}
    return {lane: run.backend.text.pieces(plain_text(prompt)) for lane, prompt in prompts.items()}


def _maps(
    run: Run, place: int, subject: Subject, recorder: WordRecorder, levels: Sequence[Level], cells: int
) -> list[WordMap]:
    """The maps of every picture of an input, in the source lane and, if it was sampled, in the positive lane."""
    found = []
    steps = [run.schedule.steps - level.number for level in levels]
    for picture in range(len(subject.frames)):
        for lane, tokens in _tokens(run, subject).items():
            if not all((lane, step) in recorder.sums for step in steps):
                continue
            by_size = recorder.sums[lane, steps[0]][picture]
            grids = {size: grid_of(recorder.sites[0], size, subject.grid) for size in by_size}
            size = min(grids, key=lambda size: abs(math.log2(min(grids[size]) / cells)))
            by_level = []
            for step in steps:
                count, total = recorder.sums[lane, step][picture][size]
                by_level.append((total / count).mT.unflatten(1, grids[size]))
            found.append(WordMap(place, picture, lane, tokens, torch.stack(by_level).numpy()))
    return found
