"""The data of FlowEdit (arXiv 2412.08629): 77 stills of 1024 pixels, with 280 edits."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from pnpvideo.events import Report
from pnpvideo.measure.figures import Column
from pnpvideo.measure.suites.agreement import agreement
from pnpvideo.measure.suites.background import whole_lpips
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.recipes import STILL_RECIPES
from pnpvideo.measure.suites.records import Record, note_unread, read_list
from pnpvideo.measure.suites.row import Row, Suite
from pnpvideo.measure.suites.structure import TensorInput, structure_between

LIST, PICTURES = "flowedit.yaml", "Images"
KEYS = ("init_img", "source_prompt", "target_prompts", "target_codes")


def read_flowedit(folder: Path, report: Report) -> list[Row]:
    """The rows of flowedit.yaml. Raises InputError that names the row.

    The list names pictures in a folder "flowedit_data", and they are published in "Images"; both are looked for.
    """
    records = read_list(folder / LIST)
    note_unread(records, KEYS, report)
    return [row for record in records for row in _rows(record, folder)]


def _rows(record: Record, folder: Path) -> list[Row]:
    stated = PurePosixPath(record.safe(record.text("init_img")))
    there = (folder / stated).exists()
    picture = record.found(str(stated) if there else stated.name, *((folder,) if there else (folder / PICTURES,)))
    prompts, codes = record.texts("target_prompts"), record.texts("target_codes")
    if len(prompts) != len(codes):
        record.fail(f"{len(prompts)} target_prompts and {len(codes)} target_codes; one code names each prompt")
    return [
        Row(
            name=f"{stated.stem}/{record.safe(code)}",
            place=record.place,
            source=picture,
            source_prompt=record.text("source_prompt"),
            prompt=prompt,
        )
        for prompt, code in zip(prompts, codes, strict=True)
    ]


def measure_flowedit(
    judges: Judges, row: Row, source: Sequence[np.ndarray], result: Sequence[np.ndarray], mode: Mode
) -> dict[str, float]:
    """The figures of one result."""
    found: dict[str, float] = {}
    if judges.clip is not None:
        found |= agreement(judges.clip, result[0], row.prompt, mode)
    if judges.lpips is not None:
        found["lpips"] = whole_lpips(judges.lpips, source[0], result[0])
    if judges.tower is not None:
        found |= structure_between(judges.tower, source[0], result[0], mode, TensorInput())
    return found


FLOWEDIT = Suite(
    name="flowedit",
    title="FlowEdit's benchmark",
    read=read_flowedit,
    measure=measure_flowedit,
    columns={
        "match": Column("CLIP cosine", "high", 1 / 100, 4),
        "lpips": Column("LPIPS", "low", digits=4),
        "structure": Column("DINO self-similarity", "low", 1 / 1000, 4),
    },
    recipes=STILL_RECIPES,
    complete=280,
    compat=(
        "no code of the measures was published with the data: LPIPS has the trunk of SqueezeNet, structure resizes "
        "without antialiasing, and CLIP is clamped at 0"
    ),
)
