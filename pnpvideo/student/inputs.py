"""The pictures that the teacher is given: stills, and a few frames of each clip, of a file or a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pnpvideo.errors import InputError, PnPVideoError
from pnpvideo.events import Notice, Report
from pnpvideo.video.pixels import to_working
from pnpvideo.video.read import read


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture (h, w, 3) uint8. name: of its file, and the frame's number for a clip; unique within the inputs."""

    name: str
    pixels: np.ndarray


def read_pictures(inputs: Path, size: tuple[int, int], per_clip: int, report: Report) -> Iterator[Picture]:
    """Read the pictures of a file, or of all files in a folder and its folders, in order, at ``size`` = (w, h).

    per_clip: frames that are taken of a clip, evenly spread. A file in a folder that cannot be read is reported and
    left out. Raises InputError if ``inputs`` does not exist, or is one file that cannot be read.
    """
    if not inputs.exists():
        raise InputError(f"{inputs} does not exist; name a picture, a clip, or a folder of them")
    alone = inputs.is_file()
    paths = (
        [inputs]
        if alone
        else sorted(path for path in inputs.rglob("*") if path.is_file() and _shown(path.relative_to(inputs)))
    )
    for path in paths:
        name = path.name if alone else path.relative_to(inputs).as_posix()
        try:
            yield from _pictures(path, name, size, per_clip, report)
        except PnPVideoError as error:
            if alone:
                raise
            report(Notice(message=f"left out: {error}"))


def _pictures(path: Path, name: str, size: tuple[int, int], per_clip: int, report: Report) -> Iterator[Picture]:
    clip = read(path, report=report)
    if clip.info.kind == "still":
        (frame,) = clip.frames()
        yield Picture(name, to_working([frame.pixels], size)[0])
        return
    count = clip.info.frames or sum(1 for _ in clip.frames())
    chosen = {round(number) for number in np.linspace(0, count - 1, min(per_clip, count))}
    for index, frame in enumerate(read(path, report=lambda event: None).frames()):
        if index in chosen:
            yield Picture(f"{name}#{index}", to_working([frame.pixels], size)[0])


def _shown(path: Path) -> bool:
    """Whether a path, relative to the folder that is read, is in no hidden folder and no hidden file itself."""
    return not any(part.startswith(".") for part in path.parts)
