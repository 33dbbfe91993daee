"""Measure any result against its source, without ground truth: text agreement, structure, consistency and motion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pnpvideo.backends.device import choose_device
from pnpvideo.errors import InputError, OptionError
from pnpvideo.measure.judge import Judge, Tower, kind
from pnpvideo.measure.motion import Motion, estimated_motions
from pnpvideo.measure.structure import structure_distance
from pnpvideo.measure.warp import warp_error
from pnpvideo.video.pixels import composite_over_white, resize
from pnpvideo.video.read import read

SMALLEST = 16  # pixels


@dataclass(frozen=True)
class ClipFigures:
    """Figures of a result and, where they apply, of its source.

    text: mean over frames of 100 cos with the prompt. success: share of frames that match the prompt better than the
    source's caption, where there is one. consistency: mean cosine of neighbouring frames, clamped at 0 (V2VBench);
    consistency_all: of all pairs (TGVE). structure: distance of key self-similarities x 1000. warp: warp error by the
    source's estimated flow. motion: minus the mean end-point error, in pixels, between the flows of both.
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
    """Measure ``result`` beside ``source``, clips or stills of equally many frames.

    judges: a CLIP model and, for structure, optionally a ViT instead of CLIP's own vision tower; aliases, folders or
    hub ids. If sizes differ, the source is resized to the result's. Raises InputError and ModelError.
    """
    chosen = str(choose_device(device))
    theirs, ours = _frames(source), _frames(result)
    if len(theirs) != len(ours):
        raise InputError(
            f"{source} has {len(theirs)} frames and {result} has {len(ours)}; both must have equally many, "
            "as what translate writes has: compare the result with the very clip it was made from"
        )
    (height, width), (tall, wide) = ours[0].shape[:2], theirs[0].shape[:2]
    if min(height, width) < SMALLEST:
        raise InputError(f"{result} is {width}x{height}; measured are frames of at least {SMALLEST} pixels a side")
    if abs(width * tall - wide * height) > 0.02 * wide * height:
        raise InputError(f"{source} is {wide}x{tall} and {result} is {width}x{height}; they must have one aspect")
    theirs = [resize(frame, (width, height)) for frame in theirs]
    words, tower = _judges(judges, chosen)
    said = [prompt] if source_prompt is None else [prompt, source_prompt]
    cosines, before = words.likeness(ours, said), words.likeness(theirs, said)
    seen, seen_before = words.seen(ours), words.seen(theirs)
    moves = len(ours) > 1
    motions = estimated_motions(theirs) if moves else []
    return ClipFigures(
        frames=len(ours),
        text=100 * float(cosines[:, 0].mean()),
        text_of_source=100 * float(before[:, 0].mean()),
        success=float((cosines[:, 0] > cosines[:, 1]).float().mean()) if source_prompt is not None else None,
        consistency=_neighbours(seen) if moves else None,
        consistency_of_source=_neighbours(seen_before) if moves else None,
        consistency_all=_pairs(seen) if moves else None,
        structure=structure_distance(tower, ours, theirs),
        warp=warp_error(ours, motions) if moves else None,
        warp_of_source=warp_error(theirs, motions) if moves else None,
        motion=-_end_point_error(estimated_motions(ours), motions) if moves else None,
    )


def _frames(path: Path | str) -> list[np.ndarray]:
    return [composite_over_white(frame.pixels) for frame in read(Path(path)).frames()]


def _judges(names: Sequence[str], device: str) -> tuple[Judge, Tower]:
    """Load the judges: a CLIP model for text agreement, and for structure too unless a ViT is named."""
    sight = [name for name in names if kind(name) == "vit"]
    words = [name for name in names if name not in sight]
    if len(sight) > 1 or len(words) != 1:
        raise OptionError(
            f"judges are {', '.join(names)}; accepted are one CLIP model for words and at most one ViT for structure"
        )
    judge = Judge(words[0], device)
    return judge, Tower.named(sight[0], device) if sight else judge.tower


def _neighbours(seen: torch.Tensor) -> float:
    return float((seen[1:] * seen[:-1]).sum(1).clamp(min=0).mean())


def _pairs(seen: torch.Tensor) -> float:
    """Mean cosine of all pairs of different frames: (|sum of unit vectors|^2 - n) / (n (n - 1))."""
    count = len(seen)
    return float((seen.sum(0).square().sum() - seen.square().sum()) / (count * (count - 1)))


def _end_point_error(ours: Sequence[Motion], theirs: Sequence[Motion]) -> float:
    return float(np.mean([np.hypot(*(a.flow - b.flow)).mean() for a, b in zip(ours, theirs, strict=True)]))
