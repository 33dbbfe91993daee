"""FiVE (arXiv 2503.13684): 420 edits of clips, in six lists, with masks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pnpvideo.errors import InputError, printable
from pnpvideo.events import Report
from pnpvideo.measure.figures import Column, nanmean
from pnpvideo.measure.suites.agreement import agreement
from pnpvideo.measure.suites.background import background_figures
from pnpvideo.measure.suites.clip_figures import motion_figures
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.pie import COLUMNS as OF_PICTURES
from pnpvideo.measure.suites.published import PublishedRow
from pnpvideo.measure.suites.recipes import CLIP_RECIPES
from pnpvideo.measure.suites.records import Record, read_list
from pnpvideo.measure.suites.row import Row, Suite
from pnpvideo.measure.suites.structure import TensorInput, structure_between
from pnpvideo.video.pixels import resize
from pnpvideo.video.read import read

LISTS = "edit_prompt/edit*_FiVE.json"
EVERY = 8
"""Figures of pictures are of each so-manieth frame."""
TABLE = "arXiv 2503.13684; weights of each method's own, judged by a vision language model"


def read_five(folder: Path, report: Report) -> list[Row]:
    """The rows of edit_prompt/edit1_FiVE.json to edit6_FiVE.json. Raises InputError that names the row."""
    lists = sorted(folder.glob(LISTS))
    if not lists:
        raise InputError(f"{printable(str(folder))} has no {LISTS}; give the folder of the unpacked data")
    rows = []
    for path in lists:
        records = read_list(path)
        rows += [_row(record, path.stem.partition("_")[0], number, folder) for number, record in enumerate(records)]
    return rows


def _row(record: Record, kind: str, number: int, folder: Path) -> Row:
    name = record.safe(record.text("video_name"))
    found = record.first(name, (f"images/{name}", f"videos/{name}.mp4"), folder)
    masks = folder / "bmasks" / name
    return Row(
        name=f"{kind}/{number:03d}_{name}",
        place=record.place,
        source=folder / found,
        source_prompt=record.text("source_prompt"),
        prompt=record.text("target_prompt"),
        kind=kind,
        masks=masks if masks.is_dir() else None,
    )


def measure_five(
    judges: Judges, row: Row, source: Sequence[np.ndarray], result: Sequence[np.ndarray], mode: Mode
) -> dict[str, float]:
    """The figures of one result: PIE-Bench's, mean over every eighth frame, and those of motion, over all."""
    masks = _masks(row, source[0].shape[:2], len(source))
    found: list[dict[str, float]] = []
    for index in range(0, len(source), EVERY):
        before, after, mask = source[index], result[index], masks[index] if masks else None
        figures = {} if mask is None else background_figures(before, after, mask, mode, judges.lpips)
        if judges.tower is not None:
            figures |= structure_between(judges.tower, before, after, mode, TensorInput(levels=255.0))
        if judges.clip is not None:
            figures |= agreement(judges.clip, after, row.prompt, mode, mask)
        found.append(figures)
    means = {name: nanmean([figures[name] for figures in found]) for name in found[0]}
    return {**means, **motion_figures(source, result)}


def _masks(row: Row, size: tuple[int, ...], count: int) -> list[np.ndarray]:
    """(h, w) bool for each frame, True where it is edited; none where the data have no masks of this clip."""
    if row.masks is None:
        return []
    pictures = [frame.pixels for frame in read(row.masks).frames()]
    if len(pictures) != count:
        raise InputError(f"{printable(row.place)}: {len(pictures)} masks and {count} frames; there must be as many")
    return [resize(picture[..., 0], (size[1], size[0])) >= 128 for picture in pictures]


FIVE = Suite(
    name="five",
    title="FiVE",
    read=read_five,
    measure=measure_five,
    columns={
        **OF_PICTURES,
        "motion": Column("motion", "high", digits=2),
        "warp": Column("warp x 1000", "low", 1000, 2),
        "judged": Column("judged success", "high", digits=1),
    },
    published=(
        PublishedRow("best of the table", {"judged": 48.4}, TABLE),
        PublishedRow("TokenFlow", {"judged": 27.4}, TABLE),
        PublishedRow("VidToMe", {"judged": 26.8}, TABLE),
    ),
    recipes=CLIP_RECIPES,
    complete=420,
    compat="as PIE-Bench's, on every eighth frame, without JPEG; warp is not of the paper",
    not_run={"judged success": "it asks a vision language model", "NIQE": "its statistics have no judge here"},
    axes=("structure", "warp"),
)
