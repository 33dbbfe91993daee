"""Measure a result against its source, without ground truth: text agreement, structure, consistency and motion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pnpvideo.backends.device import choose_device
from pnpvideo.errors import InputError, OptionError
from pnpvideo.measure.judge import Judge, Tower, model_type
from pnpvideo.measure.judge_measures import structure_distance
from pnpvideo.measure.motion import Motion, estimated_motions
from pnpvideo.measure.temporal import warp_error
from pnpvideo.video.pixels import composite_over_white, resize
from pnpvideo.video.read import read

MIN_SIZE = 16  # pixels


@dataclass(frozen=True)
class ClipFigures:
    """Figures of a result and of its source; None where a figure needs several frames or a source prompt.

    text: 100 times the cosine of frame and prompt, mean over frames. success: share of frames that match the prompt
    better than the source prompt. consistency: mean cosine of neighbouring frames, clamped at 0 (V2VBench).
    consistency_all: of all pairs of frames (TGVE). structure: see structure_distance. warp: warp error by the source's
    estimated flow. motion: minus the mean end-point error, in pixels, between the flows of source and result.
    """

    frames: int
    text: float
    text_of_source: float
    success: float | None
    consistency: float | None
    consistency_of_source: float | None
    consistency_all: float | None
    structure: float
    warp: float | None
    warp_of_source: float | None
    motion: float | None


def measure_clip(
    source: Path | str,
    result: Path | str,
    prompt: str,
    *,
    source_prompt: str | None = None,
    judges: Sequence[str] = ("miniature",),
    device: str = "cpu",
) -> ClipFigures:
    """Measure ``result`` against ``source``, clips or stills with equally many frames.

    judges: a CLIP model and, for structure, optionally a ViT instead of CLIP's own vision tower; aliases, folders or
    hub ids. If sizes differ, the source is resized to the result's. Raises InputError, OptionError and ModelError.
    """
    device = str(choose_device(device))
    theirs, ours = _frames(source), _frames(result)
    if len(theirs) != len(ours):
        raise InputError(
            f"{source} has {len(theirs)} frames and {result} has {len(ours)}; both must have equally many, "
            "as what translate writes has: compare the result with the very clip it was made from"
        )
    (height, width), (tall, wide) = ours[0].shape[:2], theirs[0].shape[:2]
    if min(height, width) < MIN_SIZE:
        raise InputError(f"{result} is {width}x{height}; accepted are frames of at least {MIN_SIZE} pixels a side")
    if abs(width * tall - wide * height) > 0.02 * wide * height:
        raise InputError(f"{source} is {wide}x{tall} and {result} is {width}x{height}; they must have one aspect")
    theirs = [resize(frame, (width, height)) for frame in theirs]
    judge, tower = load_judges(judges, device)
    prompts = [prompt] if source_prompt is None else [prompt, source_prompt]
    cosines, source_cosines = judge.cosines(ours, prompts), judge.cosines(theirs, prompts)
    vectors, source_vectors = judge.embed_pictures(ours), judge.embed_pictures(theirs)
    is_clip = len(ours) > 1
    motions = estimated_motions(theirs) if is_clip else []
    return ClipFigures(
        frames=len(ours),
        text=100 * float(cosines[:, 0].mean()),
        text_of_source=100 * float(source_cosines[:, 0].mean()),
        success=float((cosines[:, 0] > cosines[:, 1]).float().mean()) if source_prompt is not None else None,
        consistency=_mean_neighbour_cosine(vectors) if is_clip else None,
        consistency_of_source=_mean_neighbour_cosine(source_vectors) if is_clip else None,
        consistency_all=mean_pair_cosine(vectors) if is_clip else None,
        structure=structure_distance(tower, ours, theirs),
        warp=warp_error(ours, motions) if is_clip else None,
        warp_of_source=warp_error(theirs, motions) if is_clip else None,
        motion=-end_point_error(estimated_motions(ours), motions) if is_clip else None,
    )


def _frames(path: Path | str) -> list[np.ndarray]:
    return [composite_over_white(frame.pixels) for frame in read(Path(path)).frames()]


def load_judges(names: Sequence[str], device: str) -> tuple[Judge, Tower]:
    """Load the CLIP model that judges text, and the tower that judges structure: a ViT, if named, else CLIP's own."""
    vits = [name for name in names if model_type(name) == "vit"]
    clips = [name for name in names if name not in vits]
    if len(vits) > 1 or len(clips) != 1:
        raise OptionError(
            f"judges are {', '.join(names)}; accepted are one CLIP model for words and at most one ViT for structure"
        )
    judge = Judge(clips[0], device)
    return judge, Tower.load(vits[0], device) if vits else judge.tower


def _mean_neighbour_cosine(vectors: torch.Tensor) -> float:
    return float((vectors[1:] * vectors[:-1]).sum(1).clamp(min=0).mean())


def mean_pair_cosine(vectors: torch.Tensor) -> float:
    """Mean cosine of all pairs of different frames: (|sum of unit vectors|^2 - n) / (n (n - 1))."""
    count = len(vectors)
    return float((vectors.sum(0).square().sum() - vectors.square().sum()) / (count * (count - 1)))


def end_point_error(ours: Sequence[Motion], theirs: Sequence[Motion]) -> float:
    """Mean distance of two flows, in pixels, over all pixels and frames."""
    return float(np.mean([np.hypot(*(a.flow - b.flow)).mean() for a, b in zip(ours, theirs, strict=True)]))
