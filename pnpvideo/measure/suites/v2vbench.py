"""V2VBench (arXiv 2407.07111): 50 clips, each with three edits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pnpvideo.errors import InputError, printable
from pnpvideo.events import Report
from pnpvideo.measure.figures import Column
from pnpvideo.measure.suites.clip_figures import clip_figures
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.published import PublishedRow
from pnpvideo.measure.suites.recipes import CLIP_RECIPES
from pnpvideo.measure.suites.records import Record, note_unread, read_table
from pnpvideo.measure.suites.row import Row, Suite

PLACES = ("{}.mp4", "{}", "videos/{}.mp4", "videos/{}", "frames/{}")
"""Where a clip may lie, as a video or as a folder of frames."""
TABLE = "arXiv 2407.07111, table of V2VBench; weights of each method's own"


def read_v2vbench(folder: Path, report: Report) -> list[Row]:
    """The rows of the one YAML file in ``folder``. Raises InputError that names the row.

    Results are named CLIP/INDEX, from 0.
    """
    lists = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if len(lists) != 1:
        raise InputError(f"{printable(str(folder))} has {len(lists)} YAML files; accepted is one, the list of the set")
    clips = read_table(lists[0]).records("data")
    note_unread(clips, ("video_id", "prompt", "edit"), report)
    return [row for clip in clips for row in _rows(clip, folder)]


def _rows(clip: Record, folder: Path) -> list[Row]:
    name = clip.safe(clip.text("video_id"))
    found = clip.first(name, [place.format(name) for place in PLACES], folder)
    return [
        Row(
            name=f"{name}/{index}",
            place=edit.place,
            source=folder / found,
            source_prompt=clip.text("prompt", default=""),
            prompt=edit.text("prompt"),
        )
        for index, edit in enumerate(clip.records("edit"))
    ]


def measure_v2vbench(
    judges: Judges, row: Row, source: Sequence[np.ndarray], result: Sequence[np.ndarray], mode: Mode
) -> dict[str, float]:
    """The figures of one result."""
    return clip_figures(judges, row.prompt, source, result, mode, pairs=False)


V2VBENCH = Suite(
    name="v2vbench",
    title="V2VBench",
    read=read_v2vbench,
    measure=measure_v2vbench,
    columns={
        "consistency": Column("CLIP, frames", "high", digits=3),
        "match": Column("CLIP, text", "high", digits=2),
        "motion": Column("motion", "high", digits=2),
        "warp": Column("warp x 1000", "low", 1000, 2),
    },
    published=(
        PublishedRow("TokenFlow", {"consistency": 0.947, "match": 27.52, "motion": -1.57}, TABLE),
        PublishedRow("ControlVideo, best of frames", {"consistency": 0.959}, TABLE),
        PublishedRow("Text2Video-Zero, best of text", {"match": 29.12}, TABLE),
        PublishedRow("FateZero, best of motion", {"motion": -1.44}, TABLE),
    ),
    recipes=CLIP_RECIPES,
    complete=150,
    compat="cosines of neighbouring frames are clamped at 0; flow is DIS here; warp is not of the paper",
    not_run={
        name: "its model has no judge here" for name in ("aesthetic score", "DINO", "DOVER", "PickScore", "ViCLIP")
    },
    axes=("warp",),
)
