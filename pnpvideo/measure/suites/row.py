"""One row of a benchmark, and what all rows of one have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pnpvideo.events import Report
from pnpvideo.measure.figures import Column
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.published import PublishedRow
from pnpvideo.video.pixels import composite_over_white
from pnpvideo.video.read import read

Frames = list[np.ndarray]
"""Pictures (h, w, 3) uint8, in order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """A source, a still or a clip, and what it is edited to.

    name: of the result, a relative path without extension, different for each row. place: where the row stands, for
    messages. source: a file or a folder of frames. source_prompt: "" where the set has none. kind: rows of one kind
    also have means of their own. mask: (h, w) bool, what is edited in a still; masks: of a clip, a folder with one for
    each frame, white where it is edited; None: not stated.
    """

    name: str
    place: str
    source: Path
    prompt: str
    source_prompt: str = ""
    kind: str = ""
    mask: np.ndarray | None = None
    masks: Path | None = None

    def frames(self, report: Report) -> Frames:
        """Decode the source. Raises InputError."""
        return [composite_over_white(frame.pixels) for frame in read(self.source, report=report).frames()]


Measure = Callable[[Judges, Row, Sequence[np.ndarray], Sequence[np.ndarray], Mode], dict[str, float]]
"""(judges, row, frames of the source, frames of the result, mode) -> measure -> figure."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A public benchmark.

    read: its rows, from the folder of its data. columns: measure -> how it is printed, in the order of the paper's
    table. recipes: changes to the base options, by name. complete: rows of the whole set. compat: what compat does
    that strict does not. not_run: measures of the paper that are not computed, and why. axes: what the plot shows
    against ``match``.
    """

    name: str
    title: str
    read: Callable[[Path, Report], list[Row]]
    measure: Measure
    columns: Mapping[str, Column]
    recipes: Mapping[str, Mapping[str, Any]]
    complete: int
    compat: str
    published: Sequence[PublishedRow] = ()
    not_run: Mapping[str, str] = field(default_factory=dict)
    axes: tuple[str, ...] = ("structure",)
