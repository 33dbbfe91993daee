"""TGVE (LOVEU 2023, arXiv 2310.16003): 76 clips, each with four edits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pnpvideo.errors import InputError, printable
from pnpvideo.events import Report
from pnpvideo.measure.figures import Column
from pnpvideo.measure.suites.clip_figures import clip_figures
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.recipes import CLIP_RECIPES
from pnpvideo.measure.suites.records import Record, note_unread, read_list
from pnpvideo.measure.suites.row import Row, Suite

NAME, CAPTION = "Video name", "Our GT caption"
EDITS = {
    "style": "Style Change Caption",
    "object": "Object Change Caption",
    "background": "Background Change Caption",
    "multiple": "Multiple Changes Caption",
}
"""Kind of an edit, which is also the name of its result, and the column of its caption."""
PARTS = ("DAVIS_480p", "youtube_480p", "videvo_480p")
PLACES = ("480p_videos/{}.mp4", "480p_frames/{}", "{}.mp4", "{}")
"""Where a clip may lie below one of PARTS, as a video or as a folder of frames."""


def read_tgve(folder: Path, report: Report) -> list[Row]:
    """The rows of the one CSV file in ``folder``. Raises InputError that names the row.

    Results are named as submissions are, PART/CLIP/KIND.
    """
    lists = sorted(folder.glob("*.csv"))
    if len(lists) != 1:
        raise InputError(f"{printable(str(folder))} has {len(lists)} CSV files; accepted is one, the list of the set")
    records = [record for record in read_list(lists[0]) if record.values.get(CAPTION, "").strip()]  # no headings
    note_unread(records, (NAME, CAPTION, *EDITS.values(), ""), report)
    return [row for record in records for row in _rows(record, folder)]


def _rows(record: Record, folder: Path) -> list[Row]:
    name = record.safe(record.text(NAME))
    places = [f"{part}/{place.format(name)}" for part in PARTS for place in PLACES]
    found = next((place for place in places if (folder / place).exists()), None)
    if found is None:
        record.fail(f"{name} is missing; looked for in {', '.join(PARTS)}, as a video or a folder of frames")
    return [
        Row(
            name=f"{found.partition('/')[0]}/{name}/{kind}",
            place=record.place,
            source=folder / found,
            source_prompt=record.text(CAPTION),
            prompt=record.text(column),
            kind=kind,
        )
        for kind, column in EDITS.items()
    ]


def measure_tgve(
    judges: Judges, row: Row, source: Sequence[np.ndarray], result: Sequence[np.ndarray], mode: Mode
) -> dict[str, float]:
    """The figures of one result."""
    return clip_figures(judges, row.prompt, source, result, mode, pairs=True)


TGVE = Suite(
    name="tgve",
    title="TGVE",
    read=read_tgve,
    measure=measure_tgve,
    columns={
        "consistency": Column("CLIP, frames x 100", "high", 100, 2),
        "match": Column("CLIP, text", "high", digits=2),
        "warp": Column("warp x 1000", "low", 1000, 2),
        "motion": Column("motion", "high", digits=2),
    },
    recipes=CLIP_RECIPES,
    complete=304,
    compat="nothing that strict does not do; warp and motion are not of the paper",
    not_run={"PickScore": "its model has no judge here"},
    axes=("warp",),
)
