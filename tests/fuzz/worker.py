"""One process that feeds inputs to their readers and watches what else they do than return or raise PnPVideoError."""

import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import TextIO

import cv2
import torch

from pnpvideo.errors import PnPVideoError
from tests.orphans import adopt, end_children

from .mutate import mutate
from .readers import Reader
from .seeds import Seed

MOST_BYTES = 1 << 30
"""Of memory that reading one input may take, in this process or in an ffmpeg."""
_BRAKE_BYTES = 3 << 30  # at which an allocation fails, before the machine does
_SHARES = {"video": 3, "picture": 4, "other": 3}


@dataclass(frozen=True)
class Outcome:
    """What came of one input. failure: "" where it was accepted or refused as it should be, else its kind in one line.

    said: the error's message, the traceback, or what was printed.
    """

    index: int
    format: str
    accepted: bool
    failure: str
    said: str


def make(seeds: Sequence[Seed], seed: int, index: int) -> tuple[Seed, dict[str, bytes], Random]:
    """Input number ``index``: the seed that it began as, its files, and the generator for the reader's choices.

    The first inputs are the seeds themselves, undamaged.
    """
    rng = Random(f"{seed}:{index}")
    if index < len(seeds):
        return seeds[index], dict(seeds[index].files), rng
    group = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
    formats = sorted({each.format for each in seeds if each.group == group})
    form = rng.choice(formats)
    start = rng.choice([each for each in seeds if each.format == form and each.group == group])
    files = dict(start.files)
    name = start.name if start.name in files and rng.random() < 0.9 else rng.choice(list(files))
    if len(files) > 1 and rng.random() < 0.1:
        return start, _reshuffled(files, name, rng), rng
    other = rng.choice(seeds)
    files[name] = mutate(files[name], rng.choice(list(other.files.values())), name, rng)
    if len(files) == 1 and rng.random() < 0.03:  # a name that lies
        wrong = f"wrong{Path(rng.choice(seeds).name).suffix}"
        start, files = Seed(start.format, start.reader, start.files, wrong), {wrong: files[name]}
    return start, files, rng


def _reshuffled(files: dict[str, bytes], name: str, rng: Random) -> dict[str, bytes]:
    """A file goes, becomes a folder, changes places with another, or comes under a second name."""
    other = rng.choice(list(files))
    way = rng.choice(("remove", "folder", "exchange", "stranger"))
    if way == "remove":
        del files[name]
    elif way == "folder":
        files[f"{name}/{Path(name).name}"] = files.pop(name)
    elif way == "exchange":
        files[name], files[other] = files[other], files[name]
    else:
        files[f"{Path(name).parent.as_posix()}/Thumbs.db"] = files[name]
    return files


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def serve(
    connection: Connection,
    seeds: Sequence[Seed],
    readers: Mapping[str, Reader],
    seed: int,
    home: Path,
    most_bytes: int = MOST_BYTES,
) -> None:
    """Answers each index that ``connection`` brings with an Outcome, until it brings None. Never returns."""
    with open(home / "said", "w+b") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.stdout = sys.stderr = open(said.fileno(), "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
        adopt()
        resource.setrlimit(resource.RLIMIT_DATA, (_memory("VmData") + _BRAKE_BYTES, resource.RLIM_INFINITY))
        tempfile.tempdir = os.environ["TMPDIR"] = str(home / "tmp")
        warnings.simplefilter("always")
        warnings.showwarning = _shown
        torch.set_num_threads(1)  # threads of the process that this is a copy of are not here
        cv2.setNumThreads(1)
        while (index := connection.recv()) is not None:
            connection.send(_tried(seeds, readers, seed, index, home, said.fileno(), most_bytes))
    os._exit(0)


def _shown(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as Python shows it, also where somebody collects them."""
    print(warnings.formatwarning(message, category, filename, lineno), file=sys.stderr)


def _tried(
    seeds: Sequence[Seed],
    readers: Mapping[str, Reader],
    seed: int,
    index: int,
    home: Path,
    said: int,
    most_bytes: int,
) -> Outcome:
    start, files, rng = make(seeds, seed, index)
    place, temporary = home / "input", home / "tmp"
    for folder in (place, temporary):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    write(place, files)
    os.ftruncate(said, 0)
    os.lseek(said, 0, os.SEEK_SET)
    accepted, failure, message = False, "", ""
    with _peak() as peak:
        try:
            readers[start.reader](place / start.name, rng)
            accepted = True
        except PnPVideoError as error:
            message = str(error)
            if not message or "\n" in message:
                failure = f"message: {type(error).__name__} says nothing, or more than one line"
        except BaseException as error:
            failure = f"traceback: {type(error).__name__} in {_where(error)}"
            message = "".join(traceback.format_exception(error))
            error.__traceback__ = None
    if not failure and peak[0] > most_bytes:
        failure, message = f"memory: over {most_bytes >> 20} MiB", f"{peak[0] >> 20} MiB; {message}"
    sys.stderr.flush()
    printed = os.pread(said, 4000, 0).decode("utf-8", "replace").strip()
    if not failure and printed:
        failure, message = f"output: {' '.join(printed.splitlines()[-1].split())[:70]}", printed
    if left := end_children():
        failure = failure or f"process: left behind {', '.join(left)}"
    if files_left := sorted(path.name for path in temporary.iterdir()):
        failure, message = failure or "temporary file left behind", f"{', '.join(files_left)}; {message}"
    return Outcome(index, start.format, accepted, failure, message)


@contextlib.contextmanager
def _peak() -> Iterator[list[int]]:
    """The list holds, at the end, the bytes by which this process grew at most, or its largest child."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the highest resident size so far
    before, children = _memory("VmRSS"), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    grown = [0]
    yield grown
    grown[0] = _memory("VmHWM") - before
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if after > children:  # a child counts with what it shared with us before it became ffmpeg
        grown[0] = max(grown[0], (after << 10) - before)


def _memory(field: str) -> int:
    """Bytes, as Linux counts them for this process."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def _where(error: BaseException) -> str:
    """The last place in pnpvideo that the traceback passes, else the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/pnpvideo/" in frame.filename or "/cli/" in frame.filename]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).parent.name}/{Path(last.filename).name}: {last.name}"
