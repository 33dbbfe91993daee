"""Measure a result against its source, without ground truth: text agreement, structure, consistency and motion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import torch

from pnpvideo.backends.device import choose_device
from pnpvideo.errors import InputError, OptionError
from pnpvideo.measure.judge import BATCH, Judge, Tower, model_type
from pnpvideo.measure.judge_measures import structure_distance
from pnpvideo.measure.temporal import MotionComparison
from pnpvideo.video.clip import Clip
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
    hub ids. If sizes differ, the source is resized to the result's. Both are read once, in step, so memory does not
    grow with their length. Raises InputError, OptionError and ModelError.
    """
    device = str(choose_device(device))
    pairs = _pairs(read(Path(source)), read(Path(result)), source, result)
    first = next(pairs)
    judge, tower = load_judges(judges, device)
    texts = judge.embed_texts([prompt] if source_prompt is None else [prompt, source_prompt])
    found, source_found, distances, motion = (
        list[torch.Tensor](),
        list[torch.Tensor](),
        list[float](),
        MotionComparison(),
    )
    some = [first, *islice(pairs, BATCH - 1)]
    while some:
        theirs, ours = zip(*some, strict=True)
        found.append(judge.embed_pictures(ours))
        source_found.append(judge.embed_pictures(theirs))
        for one, other in some:
            distances.append(structure_distance(tower, [other], [one]))
            motion.add(one, other)
        some = list(islice(pairs, BATCH))
    vectors, source_vectors = torch.cat(found), torch.cat(source_found)
    cosines, source_cosines = vectors @ texts.T, source_vectors @ texts.T
    is_clip = len(vectors) > 1
    return ClipFigures(
        frames=len(vectors),
        text=100 * float(cosines[:, 0].mean()),
        text_of_source=100 * float(source_cosines[:, 0].mean()),
        success=float((cosines[:, 0] > cosines[:, 1]).float().mean()) if source_prompt is not None else None,
        consistency=_mean_neighbour_cosine(vectors) if is_clip else None,
        consistency_of_source=_mean_neighbour_cosine(source_vectors) if is_clip else None,
        consistency_all=mean_pair_cosine(vectors) if is_clip else None,
        structure=float(np.mean(distances)),
        warp=motion.warp if is_clip else None,
        warp_of_source=motion.warp_of_source if is_clip else None,
        motion=motion.motion if is_clip else None,
    )


def _pairs(theirs: Clip, ours: Clip, source: Path | str, result: Path | str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames of source and result (h, w, 3) uint8 in step, of the result's size. Raises InputError if they do not fit.

    Where a file does not state its number of frames, only the end says whether both have equally many.
    """
    _check_counts(theirs.info.frames, ours.info.frames, source, result)
    count_of_source, count_of_result, checked = 0, 0, False
    for one, other in zip_longest(theirs.frames(), ours.frames()):
        count_of_source, count_of_result = count_of_source + (one is not None), count_of_result + (other is not None)
        if one is None or other is None:
            continue  # to the end of the longer one, which the message states
        (height, width), (tall, wide) = other.pixels.shape[:2], one.pixels.shape[:2]
        if not checked and min(height, width) < MIN_SIZE:
            raise InputError(f"{result} is {width}x{height}; accepted are frames of at least {MIN_SIZE} pixels a side")
        if not checked and abs(width * tall - wide * height) > 0.02 * wide * height:
            raise InputError(f"{source} is {wide}x{tall} and {result} is {width}x{height}; they must have one aspect")
        checked = True
        yield resize(composite_over_white(one.pixels), (width, height)), composite_over_white(other.pixels)
    _check_counts(count_of_source, count_of_result, source, result)


def _check_counts(theirs: int | None, ours: int | None, source: Path | str, result: Path | str) -> None:
    if theirs is not None and ours is not None and theirs != ours:
        raise InputError(
            f"{source} has {theirs} frames and {result} has {ours}; both must have equally many, "
            "as what translate writes has: compare the result with the very clip it was made from"
        )


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
