"""All measures of one result against its footage, and tables of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pnpvideo.measure.edges import edge_agreement
from pnpvideo.measure.fidelity import fidelity, worst_block
from pnpvideo.measure.footage import Footage
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.judge_measures import attributes_found, edit_success, structure_distance
from pnpvideo.measure.masks import mask_agreement
from pnpvideo.measure.outline import outline_error
from pnpvideo.measure.sharpness import sharpness
from pnpvideo.measure.temporal import drift, flicker, warp_error


class Column(NamedTuple):
    """Format of a figure. better: "high", "low" or a note. scale: factor applied before printing."""

    heading: str
    better: str
    scale: float = 1.0
    digits: int = 3


COLUMNS = {
    "evaluations": Column("evaluations a frame", "low", digits=0),
    "seconds": Column("seconds a frame", "low", digits=2),
    "ratio": Column("times as fast", "high", digits=1),
    "mebibytes": Column("peak MiB", "low", digits=0),
    "difference": Column("difference of 255", "low", digits=0),
    "accuracy": Column("edit accuracy", "high"),
    "success": Column("edit success", "high"),
    "match": Column("match", "high", digits=1),
    "found": Column("found", "high"),
    "background": Column("background error", "low", digits=2),
    "psnr": Column("PSNR dB", "high", digits=2),
    "ssim": Column("SSIM", "high"),
    "colour_inside": Column("colour, objects", "low", digits=1),
    "colour_outside": Column("colour, rest", "low", digits=1),
    "sharp_inside": Column("sharpness, objects", "near 1"),
    "sharp_outside": Column("sharpness, rest", "near 1"),
    "laplacian": Column("Laplacian", "near 1"),
    "worst": Column("worst block", "low", digits=1),
    "outline": Column("outline px", "low", digits=2),
    "spill": Column("spill", "low"),
    "edges": Column("edge F1", "high"),
    "masks": Column("mask IoU", "high"),
    "structure": Column("structure", "low", digits=2),
    "warp": Column("warp x 1000", "low", 1000, 2),
    "flicker": Column("flicker", "low", digits=2),
    "drift": Column("drift x 1000", "low", 1000, 2),
    "returned": Column("returned dB", "high", digits=1),
    "noise_mean": Column("mean", "low"),
    "noise_variance": Column("variance", "near 1"),
    "noise_correlation": Column("correlation", "low"),
}


def measure_all(judge: Judge, footage: Footage, result: Sequence[np.ndarray]) -> dict[str, float]:
    """Every measure of ``result``, frames (size, size, 3) uint8 in the footage's order."""
    objects = [
        (picture, mask)
        for picture, masks in zip(result, footage.objects, strict=True)
        for mask in masks
        if mask.sum() > 100
    ]
    return {
        **edit_success(judge, result, footage.prompt, footage.source_prompt),
        "found": attributes_found(judge, result, footage.scene, footage.target_style),
        **fidelity(result, footage.truth, footage.masks),
        "sharp_inside": sharpness(result, footage.truth, footage.masks)[0],
        "sharp_outside": sharpness(result, footage.truth, footage.outside)[0],
        "laplacian": sharpness(result, footage.truth)[1],
        "worst": worst_block(result, footage.truth),
        **dict(zip(("outline", "spill"), outline_error(result, footage.truth, footage.masks), strict=True)),
        "edges": nanmean([edge_agreement(*each) for each in zip(result, footage.lines, strict=True)]),
        "masks": nanmean([mask_agreement(*each) for each in objects]),
        "structure": structure_distance(judge.tower, result, footage.source),
        "warp": warp_error(result, footage.motions),
        "flicker": flicker(result, footage.still_mask),
        "drift": drift(result, footage.overall_motion),
    }


def replace_nonfinite(value: Any) -> Any:
    """Replace NaN and infinity by None, in nested dicts and lists, for strict JSON."""
    if isinstance(value, dict):
        return {name: replace_nonfinite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [replace_nonfinite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def nanmean(values: Sequence[float]) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown table with a row for each recipe and a column for each of COLUMNS that any row has."""
    columns = {key: column for key, column in COLUMNS.items() if any(key in row for row in rows.values())}
    lines = [
        "| recipe | " + " | ".join(column.heading for column in columns.values()) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for name, row in rows.items():
        cells = [_cell(row.get(key, float("nan")), column) for key, column in columns.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float, column: Column) -> str:
    return "-" if np.isnan(value) else f"{value * column.scale:.{column.digits}f}"
