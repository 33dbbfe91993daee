"""The examples that a student learns from, as arrays, and the batches that are drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from pnpvideo.errors import InputError
from pnpvideo.student.network import context_of, place_of

LARGEST_TURN, LARGEST_ZOOM, LARGEST_SHIFT = 3.0, 0.04, 0.03
"""Of the motion that stills are given: degrees, and shares of the picture."""


@dataclass(frozen=True, eq=False)
class Motions:
    """Neighbouring frames of a clip and the motion between them, from which the student learns to be steady.

    earlier, later: (m, h, w, 3) uint8, sources only. flow: (m, 2, h, w) float16, pixels from earlier to later, x first.
    visible: (m, h, w) bool, of pixels that both frames show.
    """

    earlier: np.ndarray
    later: np.ndarray
    flow: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True, eq=False)
class Examples:
    """Sources and targets (n, h, w, 3) uint8, the teacher's work being the targets. motions: None: they are
    stills, whose motion is imagined."""

    source: np.ndarray
    target: np.ndarray
    motions: Motions | None = None

    def __post_init__(self) -> None:
        if self.source.shape != self.target.shape or not len(self.source):
            raise InputError(
                f"examples are of shapes {self.source.shape} and {self.target.shape}; accepted are two equal shapes "
                "(n, h, w, 3) with n of at least 1"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of all pictures, in pixels."""
        return self.source.shape[2], self.source.shape[1]


@dataclass(frozen=True, eq=False)
class Batch:
    """Patches (n, 3, p, p) in [-1, 1], with the context and place that the generator needs of each; see Generator."""

    source: Tensor
    context: Tensor
    place: Tensor
    target: Tensor | None = None


@dataclass(frozen=True, eq=False)
class SteadyBatch:
    """Patches of neighbouring frames at the same place, their motion (n, 2, p, p) and visible pixels (n, 1, p, p)."""

    earlier: Batch
    later: Batch
    flow: Tensor
    visible: Tensor


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How batches are drawn.

    batch: patches. patch: their width and height in pixels; in smaller pictures, the largest multiple of ``multiple``
    that fits, which the network needs (``Shape.multiple``). mirror: mirror half of them.
    jitter: largest change of the source's brightness and contrast, as a share; the target keeps its own.
    noise: standard deviation of noise on the source, in units of [-1, 1].
    """

    batch: int = 8
    patch: int = 128
    multiple: int = 16
    mirror: bool = True
    jitter: float = 0.0
    noise: float = 0.0

    def examples(self, examples: Examples, seed: int, step: int) -> Batch:
        """The batch of a step: a function of seed and step alone."""
        draw = np.random.default_rng((seed, step))
        numbers = draw.integers(len(examples.source), size=self.batch)
        source, context, place, target = [], [], [], []
        for number in numbers:
            mirrored = self.mirror and draw.random() < 0.5
            window = self._window(examples.size, draw)
            whole = _to_tensor(examples.source[number])
            true = _to_tensor(examples.target[number])
            if mirrored:
                whole, true = whole.flip(2), true.flip(2)
            whole = self._varied(whole, draw)
            source.append(whole[window])
            target.append(true[window])
            context.append(context_of(whole[None])[0])
            place.append(place_of(whole[None])[0][window])
        return Batch(*(torch.stack(parts) for parts in (source, context, place, target)))

    def neighbours(self, motions: Motions, count: int, seed: int, step: int) -> SteadyBatch:
        """``count`` patches of neighbouring frames: a function of seed and step alone."""
        draw = np.random.default_rng((seed, step, 1))
        size = motions.earlier.shape[2], motions.earlier.shape[1]
        frames: tuple[list[tuple[Tensor, ...]], list[tuple[Tensor, ...]]] = ([], [])
        flow, visible = [], []
        for number in draw.integers(len(motions.earlier), size=count):
            window = self._window(size, draw)
            for pictures, found in zip((motions.earlier, motions.later), frames, strict=True):
                whole = _to_tensor(pictures[number])
                found.append((whole[window], context_of(whole[None])[0], place_of(whole[None])[0][window]))
            part = torch.from_numpy(motions.flow[number].astype(np.float32))[window]
            y, x = torch.meshgrid(*(torch.arange(side) for side in part.shape[1:]), indexing="ij")
            inside = ((x + part[0]) >= 0) & ((x + part[0]) <= part.shape[2] - 1)
            inside &= ((y + part[1]) >= 0) & ((y + part[1]) <= part.shape[1] - 1)
            flow.append(part)
            visible.append((torch.from_numpy(motions.visible[number])[window[1:]] & inside)[None].float())
        earlier, later = (Batch(*(torch.stack(parts) for parts in zip(*found, strict=True))) for found in frames)
        return SteadyBatch(earlier, later, torch.stack(flow), torch.stack(visible))

    def _window(self, size: tuple[int, int], draw: np.random.Generator) -> tuple[slice, slice, slice]:
        """The index of a random patch in a picture (c, h, w)."""

        def part(length: int) -> slice:
            patch = min(self.patch, length // self.multiple * self.multiple)
            start = int(draw.integers(length - patch + 1))
            return slice(start, start + patch)

        width, height = size
        rows = part(height)
        return slice(None), rows, part(width)

    def _varied(self, picture: Tensor, draw: np.random.Generator) -> Tensor:
        if self.jitter:
            contrast, brightness = 1 + self.jitter * draw.uniform(-1, 1, 2)
            picture = (picture * contrast + (brightness - 1)).clamp(-1, 1)
        if self.noise:
            grain = torch.from_numpy(draw.standard_normal(picture.shape, np.float32))
            picture = picture + self.noise * grain
        return picture


def imagined_motions(pictures: np.ndarray, count: int, seed: int, step: int) -> Motions:
    """Motion for stills: ``count`` of ``pictures`` (n, h, w, 3) uint8, each beside a copy of it that a camera's small
    turn, zoom and shift moved. A function of seed and step alone; the flow is exact."""
    draw = np.random.default_rng((seed, step, 2))
    height, width = pictures.shape[1:3]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    earlier = pictures[draw.integers(len(pictures), size=count)]
    later, flow, visible = [], [], []
    for picture in earlier:
        turn, zoom = draw.uniform(-LARGEST_TURN, LARGEST_TURN), 1 + draw.uniform(-LARGEST_ZOOM, LARGEST_ZOOM)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
        shift = draw.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, 2)
        matrix = matrix + np.array([[0, 0, shift[0] * width], [0, 0, shift[1] * height]])
        x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]
        y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]
        later.append(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101))
        flow.append(np.stack([x - columns, y - rows]).astype(np.float16))
        visible.append((x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1))
    return Motions(earlier, np.stack(later), np.stack(flow), np.stack(visible))


def read_examples(pairs: Sequence[tuple[Path, Path]], size: tuple[int, int]) -> Examples:
    """Read pictures of sources and targets at ``size`` = (width, height). Raises InputError."""
    from pnpvideo.video.pixels import to_working
    from pnpvideo.video.read import read

    def load(path: Path) -> np.ndarray:
        (picture,) = to_working((frame.pixels for frame in read(path).frames()), size)
        return np.asarray(picture)

    return Examples(np.stack([load(a) for a, _ in pairs]), np.stack([load(b) for _, b in pairs]))


def _to_tensor(picture: np.ndarray) -> Tensor:
    """(h, w, 3) uint8 -> (3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 127.5 - 1
