"""Wild-TI2I and ImageNet-R-TI2I, the sets of Plug-and-Play (arXiv 2211.12572): stills with several prompts each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from pnpvideo.errors import InputError, printable
from pnpvideo.events import Notice, Report
from pnpvideo.measure.figures import Column
from pnpvideo.measure.suites.agreement import agreement
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.published import published_rows
from pnpvideo.measure.suites.recipes import STILL_RECIPES
from pnpvideo.measure.suites.records import Record, note_unread, read_list
from pnpvideo.measure.suites.row import Row, Suite
from pnpvideo.measure.suites.structure import TensorInput, structure_between

LISTS = (".yaml", ".yml", ".json")
KEYS = ("init_img", "source_prompt", "target_prompts", "image_path", "original_prompt", "editing_prompt")
COLUMNS = {
    "structure": Column("DINO self-similarity", "low", 1 / 1000, 4),
    "match": Column("CLIP cosine", "high", 1 / 100, 4),
}
TABLE = "arXiv 2211.12572, ablation on Wild-TI2I real; Stable Diffusion 1.4"
PUBLISHED = {
    "Plug-and-Play": (0.058, 0.282),
    "Plug-and-Play without features": (0.090, 0.288),
    "Plug-and-Play without self-attention": (0.097, 0.286),
}
"""Method -> figures in the order of COLUMNS."""


def read_ti2i(folder: Path, report: Report) -> list[Row]:
    """The rows of every list (YAML or JSON) in ``folder`` and in its folders. Raises InputError that names the row.

    A row names a picture by init_img, with target_prompts, or by image_path, with one editing_prompt. Rows without a
    picture, whose guidance is to be sampled by the original model, are left out, and said.
    """
    lists = sorted(path for path in [*folder.glob("*"), *folder.glob("*/*")] if path.suffix.lower() in LISTS)
    if not lists:
        raise InputError(f"{printable(str(folder))} has no list in YAML or JSON; give the folder of the unpacked data")
    rows: list[Row] = []
    for path in lists:
        records = read_list(path)
        note_unread(records, KEYS, report)
        pictured = [record for record in records if {"init_img", "image_path"} & set(record.values)]
        if len(pictured) < len(records):
            left_out = len(records) - len(pictured)
            report(Notice(message=f"{printable(path.name)}: {left_out} rows without a picture are left out"))
        for record in pictured:
            rows += rows_of(record, path.stem, path.parent, folder)
    return unique(rows)


def rows_of(record: Record, kind: str, *roots: Path) -> list[Row]:
    """One row for each prompt of a record. kind: the list it is from."""
    older = "init_img" in record.values
    name = "init_img" if older else "image_path"
    picture = record.file(name, *roots)
    prompts = record.texts("target_prompts") if older else [record.text("editing_prompt")]
    source_prompt = record.text("source_prompt" if older else "original_prompt", default="")
    stem = PurePosixPath(record.safe(record.text(name))).with_suffix("")
    return [
        Row(
            name=f"{kind}/{stem}/{number}",
            place=record.place,
            source=picture,
            source_prompt=source_prompt,
            prompt=prompt,
            kind=kind,
        )
        for number, prompt in enumerate(prompts, 1)
    ]


def unique(rows: Sequence[Row]) -> list[Row]:
    """The rows, where several have one name with a number at its end."""
    seen: dict[str, int] = {}
    found = []
    for row in rows:
        seen[row.name] = seen.get(row.name, 0) + 1
        again = f"-{seen[row.name]}" if seen[row.name] > 1 else ""
        found.append(replace(row, name=row.name + again))
    return found


def measure_ti2i(
    judges: Judges, row: Row, source: Sequence[np.ndarray], result: Sequence[np.ndarray], mode: Mode
) -> dict[str, float]:
    """The figures of one result."""
    found: dict[str, float] = {}
    if judges.tower is not None:
        found |= structure_between(judges.tower, source[0], result[0], mode, TensorInput())
    if judges.clip is not None:
        found |= agreement(judges.clip, result[0], row.prompt, mode)
    return found


TI2I = Suite(
    name="ti2i",
    title="Wild-TI2I and ImageNet-R-TI2I",
    read=read_ti2i,
    measure=measure_ti2i,
    columns=COLUMNS,
    published=published_rows(PUBLISHED, COLUMNS, TABLE),
    recipes=STILL_RECIPES,
    complete=223,
    compat=(
        "no code of the measures was published with the set: structure follows Splice's, with pictures resized without "
        "antialiasing; CLIP is clamped at 0"
    ),
)
