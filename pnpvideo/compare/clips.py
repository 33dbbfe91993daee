"""Open a source and its results, so that they show the same stretch of time."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from pnpvideo.errors import OptionError, printable
from pnpvideo.events import Notice, Report
from pnpvideo.video.clip import Clip, Frame
from pnpvideo.video.read import read
from pnpvideo.video.span import Span
from pnpvideo.video.write import DEFAULT_FPS

MOST_RESULTS = 7
"""Results in one comparison: as many as there are colours that can be told apart."""


def open_clips(source: Path, results: Sequence[Path], span: Span | None, report: Report) -> list[Clip]:
    """Open the source and each result; ``span`` is of the source, and of each result that is longer than it.

    A result that is not longer was made from the span alone. Raises InputError and DecodeError as ``read`` does,
    OptionError for no result or more than MOST_RESULTS.
    """
    if not 1 <= len(results) <= MOST_RESULTS:
        raise OptionError(f"{len(results)} results were given; accepted are 1 to {MOST_RESULTS}")
    first = read(source, span=span, report=report)
    return [first, *(_open_result(path, first, span, report) for path in results)]


def _open_result(path: Path, source: Clip, span: Span | None, report: Report) -> Clip:
    clip = read(path, report=report)
    length = source.info.frames
    if span is None or length is None or sum(1 for _ in itertools.islice(clip.frames(), length + 1)) <= length:
        return clip
    report(Notice(message=f"{printable(path.name)} is longer than the span; the same span of it is shown"))
    return read(path, span=span, report=report)


def bytes_of(path: Path) -> int:
    """Size of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [entry for entry in path.iterdir() if entry.is_file()]
    return sum(file.stat().st_size for file in files)


def duration_of(frame: Frame, before: Frame | None, clip: Clip) -> Fraction:
    """Seconds that the last frame of a clip is shown: as stated, else as long as the one before it."""
    if frame.duration_seconds is not None:
        return frame.duration_seconds
    if before is not None:
        return frame.pts_seconds - before.pts_seconds
    return 1 / (clip.info.fps or DEFAULT_FPS)


def path_of(clip: Clip) -> Path:
    """The file or folder of a clip that was read from one."""
    assert clip.info.path is not None
    return clip.info.path


def size_within(width: int, height: int, widest: int | None) -> tuple[int, int]:
    """(width, height) scaled down to ``widest`` pixels, if wider; the aspect ratio is kept."""
    if widest is None or width <= widest:
        return width, height
    return widest, max(1, round(height * widest / width))


def labels_of(paths: Sequence[Path]) -> list[str]:
    """Names to show for these files: their names, or where two are equal, their paths; control characters escaped."""
    names = [path.name or str(path) for path in paths]
    return [printable(name if names.count(name) == 1 else str(path)) for path, name in zip(paths, names, strict=True)]
