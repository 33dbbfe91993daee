"""PIE-Bench (Ju et al., arXiv 2310.01506): 700 stills with masks, in ten kinds of edits."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.events import Report
from pnpvideo.measure.figures import Column
from pnpvideo.measure.suites.agreement import agreement
from pnpvideo.measure.suites.background import background_figures
from pnpvideo.measure.suites.judges import Judges
from pnpvideo.measure.suites.mask_runs import SIDE, decode_runs, with_border
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.published import published_rows
from pnpvideo.measure.suites.recipes import STILL_RECIPES
from pnpvideo.measure.suites.records import Record, note_unread, read_list
from pnpvideo.measure.suites.row import Row, Suite
from pnpvideo.measure.suites.structure import TensorInput, structure_between

MAPPING, PICTURES = "mapping_file.json", "annotation_images"
KINDS = (
    *("random", "change object", "add object", "delete object", "change content"),
    *("change pose", "change colour", "change material", "change background", "change style"),
)
"""By editing_type_id."""
KEYS = (
    *("image_path", "original_prompt", "editing_prompt", "editing_instruction"),
    *("editing_type_id", "blended_word", "mask"),
)
JPEG_QUALITY = 75
COLUMNS = {
    "structure": Column("structure x 1000", "low", digits=2),
    "psnr": Column("PSNR dB, background", "high", digits=2),
    "lpips": Column("LPIPS x 1000, background", "low", 1000, 2),
    "mse": Column("MSE x 10000, background", "low", 10_000, 2),
    "ssim": Column("SSIM x 100, background", "high", 100, 2),
    "match": Column("CLIP, whole", "high", digits=2),
    "edited": Column("CLIP, edited", "high", digits=2),
}
TABLE = "arXiv 2310.01506, table 1; Stable Diffusion 1.4, 50 steps"
PUBLISHED = {
    "DDIM + Plug-and-Play": (28.22, 22.28, 113.46, 83.64, 79.05, 25.41, 22.55),
    "PnP Inversion + Plug-and-Play": (24.29, 22.46, 106.06, 80.45, 79.68, 25.41, 22.62),
    "DDIM + pix2pix-zero": (61.68, 20.44, 172.22, 144.12, 74.67, 22.80, 20.54),
    "PnP Inversion + pix2pix-zero": (49.22, 21.53, 138.98, 127.32, 77.05, 23.31, 21.05),
    "DDIM + MasaCtrl": (28.38, 22.17, 106.62, 86.97, 79.67, 23.96, 21.16),
    "DDIM + Prompt-to-Prompt": (69.43, 17.87, 208.80, 219.88, 71.14, 25.01, 22.44),
    "PnP Inversion + Prompt-to-Prompt": (11.65, 27.22, 54.55, 32.86, 84.76, 25.02, 22.10),
}
"""Method -> figures in the order of COLUMNS."""


def read_pie(folder: Path, report: Report) -> list[Row]:
    """The rows of mapping_file.json, in its order. Raises InputError that names the row."""
    records = read_list(folder / MAPPING)
    note_unread(records, KEYS, report)
    return [_row(record, folder / PICTURES) for record in records]


def _row(record: Record, pictures: Path) -> Row:
    picture = record.file("image_path", pictures)
    kind = str(record.values.get("editing_type_id", ""))
    if kind not in map(str, range(len(KINDS))):
        record.fail(f"editing_type_id is {kind!r}; accepted are 0 to {len(KINDS) - 1}")
    try:
        mask = decode_runs(record.values.get("mask"))
    except ValueError as error:
        record.fail(str(error))
    size = _size(picture, record)
    if size != (SIDE, SIDE):
        record.fail(f"{picture.name} is {size[0]} x {size[1]}; accepted is {SIDE} x {SIDE}, the size of the masks")
    return Row(
        name=str(Path(record.text("image_path")).with_suffix("")),
        place=record.place,
        source=picture,
        source_prompt=_without_brackets(record.text("original_prompt")),
        prompt=_without_brackets(record.text("editing_prompt")),
        kind=KINDS[int(kind)],
        mask=mask,
    )


def _without_brackets(prompt: str) -> str:
    """The prompt without the brackets that mark the words which change."""
    return prompt.replace("[", "").replace("]", "")


def _size(path: Path, record: Record) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.width, image.height
    except (OSError, ValueError, SyntaxError) as error:
        record.fail(f"{path.name} is no picture: {error}")


def measure_pie(
    judges: Judges, row: Row, source: Sequence[np.ndarray], result: Sequence[np.ndarray], mode: Mode
) -> dict[str, float]:
    """The figures of one result. compat saves it as JPEG first, as the code of the paper does."""
    before, after = source[0], as_jpeg(result[0]) if mode is Mode.COMPAT else result[0]
    assert row.mask is not None
    edited = with_border(row.mask)
    found = background_figures(before, after, edited, mode, judges.lpips)
    if judges.tower is not None:
        found |= structure_between(judges.tower, before, after, mode, TensorInput(levels=255.0))
    if judges.clip is not None:
        found |= agreement(judges.clip, after, row.prompt, mode, edited if mode is Mode.COMPAT else row.mask)
    return found


def as_jpeg(picture: np.ndarray) -> np.ndarray:
    """A picture after saving as JPEG with Pillow's usual quality."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(file))


PIE = Suite(
    name="pie",
    title="PIE-Bench",
    read=read_pie,
    measure=measure_pie,
    columns=COLUMNS,
    published=published_rows(PUBLISHED, COLUMNS, TABLE),
    recipes=STILL_RECIPES,
    complete=700,
    compat=(
        "results pass through JPEG of quality 75; the ViT gets levels of 0 to 255, resized without antialiasing; the "
        "blackened region counts as equal background; CLIP sees the edited region on black, and is clamped at 0"
    ),
)
