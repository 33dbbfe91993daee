"""Preview: a few frames of a clip, translated by each cell of a grid of options."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image
from typing_extensions import Unpack

from pnpvideo.events import Report, log
from pnpvideo.explore.cells import Cell
from pnpvideo.explore.frames import ChosenFrames
from pnpvideo.explore.grid import Dial, span_cells
from pnpvideo.explore.preview_sheet import preview_sheet
from pnpvideo.explore.trial import Outcome, Trials
from pnpvideo.publish import published, write_file
from pnpvideo.settings.options import OptionGroups, Options


@dataclass(frozen=True)
class Preview:
    """The cells of a preview. outcomes: by cell, number 1 first. record: all of it, JSON-ready, without pictures."""

    prompt: str | None
    dials: tuple[Dial, ...]
    chosen: ChosenFrames
    outcomes: tuple[Outcome, ...]
    record: Mapping[str, Any]

    def sheet(self) -> Image.Image:
        """The sheet: the source first, then each cell with its number, options and seconds."""
        return preview_sheet(self.chosen, self.outcomes, self.dials, str(self.record["input"]))

    def save(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write the sheet to ``path``, and the JSON file of its cells beside it, first. Raises OutputError."""
        path = Path(path)
        write_file(path.with_suffix(".json"), _json(self.record), overwrite=overwrite)
        with published(path, overwrite=overwrite) as building:
            self.sheet().save(building)

    def save_cells(self, folder: Path | str, *, overwrite: bool = False) -> None:
        """Write to ``folder`` each cell's pictures as PNG and its options as JSON: cell-7-frame-12.png, cell-7.json."""
        with published(Path(folder), overwrite=overwrite) as building:
            building.mkdir()
            for outcome, record in zip(self.outcomes, self.record["cells"], strict=True):
                name = f"cell-{outcome.cell.number}"
                (building / f"{name}.json").write_bytes(_json({**self.record, "cells": [record]}))
                for frame, picture in zip(self.chosen.frames, outcome.pictures, strict=True):
                    Image.fromarray(picture).save(building / f"{name}-frame-{frame.index}.png")


def preview(
    input: Path | str,
    prompt: str | None,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    frames: int | Sequence[int | float] = 3,
    model: str | Path = "miniature",
    report: Report = log,
    **options: Unpack[OptionGroups],
) -> Preview:
    """Translate a few frames of ``input`` by each combination of options in ``grid``; write it with ``Preview.save``.

    prompt: None for an edit, which ``prompts`` states, or if "prompt" is in the grid. grid: up to two options by name,
    each with its values. frames: how many, spread over the shots, or which: numbers, or seconds if they are floats.
    Where neither preset nor steps is set, the preset is "draft". Raises PnPVideoError.
    """
    flat = Options(model=str(model), **options)
    dials = [Dial.of(name, values) for name, values in (grid or {}).items()]
    trials = Trials(input, flat, report, frames=frames if isinstance(frames, int) else places(frames))
    return preview_cells(trials, prompt, dials, span_cells(prompt, flat_stated(flat), dials))


def preview_cells(trials: Trials, prompt: str | None, dials: Sequence[Dial], cells: Iterable[Cell]) -> Preview:
    """Run the cells of a grid. dials: those that span it; prompt: see ``preview``."""
    outcomes = trials.run_all(cells)
    return Preview(prompt, tuple(dials), trials.chosen, tuple(outcomes), trials.record(outcomes))


def places(frames: Sequence[int | float]) -> list[int | Fraction]:
    """Frames by number, or by seconds where they are floats."""
    return [place if isinstance(place, int) else Fraction(str(place)) for place in frames]


def flat_stated(options: Options) -> dict[str, Any]:
    """The options that differ from their defaults, by flat name, with the names of method and coherence."""
    flat = options.flat()
    return {name: flat[name] for name in options.stated()}


def _json(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=2) + "\n").encode()
