"""Pairs of a source and the teacher's result: made once, kept in a folder, and filtered by how well they turned out."""

import contextlib
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pnpvideo.errors import InputError, PnPVideoError
from pnpvideo.events import Notice, Progress, Report
from pnpvideo.store.durable import replace_file
from pnpvideo.student.inputs import Picture

JOURNAL = "pairs.jsonl"


@dataclass(frozen=True, kw_only=True)
class Taught:
    """The teacher's result for one picture. pixels: (h, w, 3) uint8. text: what it should show. source_text: what the
    source shows; "" if nobody said."""

    pixels: np.ndarray
    text: str
    source_text: str = ""


Teacher = Callable[[np.ndarray], Taught]
"""Translates a picture (h, w, 3) uint8. Raises PnPVideoError if it cannot."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One line of the journal.

    source, result: file names in the pairs' folder. gain: of the judge's cosine with ``text``, result minus source.
    overlap: of the thing's masks in both pictures, intersection over union; None: not measured. seconds: that the
    teacher took.
    """

    name: str
    source: str
    result: str
    text: str
    gain: float
    overlap: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which pairs are learned from (pix2pix-zero, appendix: gain 0.1, overlap 0.7 where the thing keeps its place).

    least_gain: in units of cosine. least_overlap: None: masks do not matter.
    """

    least_gain: float = 0.0
    least_overlap: float | None = None

    def accepts(self, pair: Pair) -> bool:
        if self.least_overlap is not None and pair.overlap is not None and pair.overlap < self.least_overlap:
            return False
        return pair.gain >= self.least_gain

    def of(self, pairs: Sequence[Pair]) -> list[Pair]:
        """The accepted pairs. Raises InputError if there are none."""
        accepted = [pair for pair in pairs if self.accepts(pair)]
        if not accepted:
            best = max((pair.gain for pair in pairs), default=0.0)
            raise InputError(
                f"none of {len(pairs)} pairs passes the filter (a gain of at least {self.least_gain:g}; the best has "
                f"{best:.3f}); check the prompt, or accept less with a lower --least-gain"
            )
        return accepted


class Examiner:
    """Measures a pair. gain: (source, result, text) -> Pair.gain. overlap: (source, result, texts) -> Pair.overlap."""

    def __init__(
        self,
        gain: Callable[[np.ndarray, np.ndarray, str], float],
        overlap: Callable[[np.ndarray, np.ndarray, Taught], float | None] = lambda source, result, taught: None,
    ) -> None:
        self.gain, self.overlap = gain, overlap


def make_pairs(
    pictures: Iterable[Picture],
    teacher: Teacher,
    examiner: Examiner,
    folder: Path,
    recipe: dict[str, Any],
    total: int,
    report: Report,
) -> Iterator[Pair]:
    """Have the teacher translate ``total`` pictures at most, and yield each pair, also those that are there already.

    folder: keeps the pictures as PNG and a journal, so a run that was stopped goes on where it was. recipe: JSON-ready
    facts that the results depend on; pairs of another recipe are not used. A picture that the teacher cannot translate
    is reported and left out. Raises InputError if nothing at all could be translated.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known, failed, done = read_journal(folder), 0, 0
    last: PnPVideoError | None = None
    for picture in pictures:
        if done == total:
            break
        key = _key(recipe, picture)
        if key not in known or not all((folder / name).is_file() for name in (known[key].source, known[key].result)):
            started = time.monotonic()
            try:
                taught = teacher(picture.pixels)
            except PnPVideoError as error:
                failed, last = failed + 1, error
                report(Notice(message=f"{picture.name} is left out: {error}"))
                continue
            known[key] = _keep(folder, key, picture, taught, examiner, time.monotonic() - started)
        done += 1
        report(Progress(stage="teach", done=done, total=total, unit="pair"))
        yield known[key]
    if not done:
        raise InputError(
            f"the teacher translated none of the pictures ({failed} failed); the last error was: {last}"
            if last
            else "there is no picture to learn from; name a folder with pictures or clips"
        )


def read_journal(folder: Path) -> dict[str, Pair]:
    """The pairs in ``folder`` by key. A damaged line, such as one that a kill cut off, counts as not made yet."""
    path, pairs = folder / JOURNAL, {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
            stated = json.loads(line)
            key = str(stated.pop("key"))
            pairs[key] = Pair(**stated)
    return pairs


def _keep(folder: Path, key: str, picture: Picture, taught: Taught, examiner: Examiner, seconds: float) -> Pair:
    """Write the two pictures, then the journal's line, which makes them count."""
    pair = Pair(
        name=picture.name,
        source=f"{key}-source.png",
        result=f"{key}-result.png",
        text=taught.text,
        gain=examiner.gain(picture.pixels, taught.pixels, taught.text),
        overlap=examiner.overlap(picture.pixels, taught.pixels, taught),
        seconds=round(seconds, 2),
    )
    for name, pixels in ((pair.source, picture.pixels), (pair.result, taught.pixels)):
        replace_file(folder / name, _png(pixels))
    with open(folder / JOURNAL, "a+b") as journal:
        if journal.tell():
            journal.seek(-1, os.SEEK_END)
            if journal.read(1) != b"\n":  # a kill cut the last line off
                journal.write(b"\n")
        journal.write(json.dumps({"key": key, **asdict(pair)}).encode() + b"\n")
    return pair


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _key(recipe: dict[str, Any], picture: Picture) -> str:
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    digest.update(str(picture.pixels.shape).encode() + np.ascontiguousarray(picture.pixels).tobytes())
    return digest.hexdigest()[:24]
