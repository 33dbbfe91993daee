"""What a mutant is, and how it is tried in a copy of the tree."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.orphans import adopt, end_children

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 120.0
MOST_BYTES = 6 << 30  # of memory that a test may take when the guard against more is away


@dataclass(frozen=True)
class Mutant:
    """``old``, which occurs once in ``file``, becomes ``new``; one of ``tests`` (pytest's node ids) must fail then.

    guards: what the code is there for, in a few words.
    """

    guards: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def problem(self, root: Path) -> str:
        """Why it cannot be tried; "" where it can."""
        path = root / self.file
        count = path.read_text("utf-8").count(self.old) if path.is_file() else 0
        return "" if count == 1 else f"{self.file}: {self.old!r} occurs {count} times, not once ({self.guards})"


@dataclass(frozen=True)
class Verdict:
    """outcome: "killed", "survived", or "error": the tests could not even run. said: the end of what they said."""

    mutant: Mutant
    outcome: str
    seconds: float
    said: str


def copy_tree(folder: Path) -> None:
    """What git has of the tree, or would add to it. ``pnpvideo.cli``, installed from another folder, is linked in."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, copy = ROOT / name, folder / name
        if not source.is_file():  # removed, and not yet committed so
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
        copy.chmod(source.stat().st_mode)
    (folder / "pnpvideo" / "cli").symlink_to(folder / "cli")


def preload() -> None:
    """Imports what takes seconds in each start of pytest, so that ``run_tests`` has it already."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    import cv2  # noqa: F401
    import torch  # noqa: F401
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel  # noqa: F401
    from transformers import AutoProcessor, CLIPTextModel, CLIPTokenizer  # noqa: F401


def run_tests(folder: Path, tests: Sequence[str], seconds: float = MOST_SECONDS) -> tuple[int | None, str]:
    """pytest's exit status (None: stopped after ``seconds``) and the end of what it said, in the copy at ``folder``.

    It runs in a copy of this process, which has loaded the libraries, but nothing of the tree.
    """
    adopt()
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = _pytest(folder, tests, said.fileno())
            finally:
                os._exit(status)  # nothing of what this process has begun is ended twice
        until, ended, status = time.monotonic() + seconds, 0, 0
        while not ended and time.monotonic() < until:
            time.sleep(0.02)
            ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        end_children(f"MUTANT={folder}")
        said.seek(0)
        words = said.read().decode("utf-8", "replace")[-3000:]
    return (os.waitstatus_to_exitcode(status) if ended else None), words


def _pytest(folder: Path, tests: Sequence[str], said: int) -> int:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, resource.RLIM_INFINITY))
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    sys.stdout = sys.stderr = open(said, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "MUTANT": str(folder)}
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    for name in list(sys.modules):
        if name.partition(".")[0] in ("pnpvideo", "tests", "benchmarks", "samples"):
            del sys.modules[name]
    import pytest

    options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-m", "not gpu"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of plugins that ``preload`` has imported
    status = pytest.main([*options, *tests])
    sys.stdout.flush()
    return int(status)


def attempt(mutant: Mutant, folder: Path) -> Verdict:
    """Change the copy at ``folder``, run the mutant's tests there, and change it back."""
    started = time.monotonic()
    path = folder / mutant.file
    sound = path.read_text("utf-8")
    path.write_text(sound.replace(mutant.old, mutant.new), "utf-8")
    try:
        status, said = run_tests(folder, mutant.tests)
    finally:
        path.write_text(sound, "utf-8")
    outcome = {0: "survived", 1: "killed", None: "killed"}.get(status, "error")
    return Verdict(mutant, outcome, time.monotonic() - started, said)
