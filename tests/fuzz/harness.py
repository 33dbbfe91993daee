"""The fuzzer notices each kind of misbehaviour that it looks for, and does the same input again for the same number."""

import subprocess
import sys
import time
import warnings
from pathlib import Path
from random import Random

import pytest

from pnpvideo.errors import InputError
from tests.fuzz.__main__ import table
from tests.fuzz.pool import outcomes
from tests.fuzz.readers import READERS
from tests.fuzz.seeds import Seed, corpus
from tests.fuzz.worker import Outcome, make

MOST_BYTES = 64 << 20

_LEFT: list["subprocess.Popen[bytes]"] = []


def _sound(path: Path, rng: Random) -> None:
    path.read_bytes()


def _refuses(path: Path, rng: Random) -> None:
    raise InputError(f"{path} is no clip")


def _raises(path: Path, rng: Random) -> None:
    path.read_bytes()[1 << 20]


def _exits(path: Path, rng: Random) -> None:
    sys.exit(3)


def _says_two_lines(path: Path, rng: Random) -> None:
    raise InputError("the file\nis damaged")


def _hangs(path: Path, rng: Random) -> None:
    time.sleep(1000)


def _grows(path: Path, rng: Random) -> None:
    assert len(b"x" * (2 * MOST_BYTES)) > MOST_BYTES


def _prints(path: Path, rng: Random) -> None:
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'libtiff: warning')"], check=True)


def _warns(path: Path, rng: Random) -> None:
    warnings.warn("a library is not sure", stacklevel=1)


def _dies(path: Path, rng: Random) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def _leaves_a_process(path: Path, rng: Random) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(1000)"]
    _LEFT.append(subprocess.Popen(command, start_new_session=True))


def _leaves_a_file(path: Path, rng: Random) -> None:
    import tempfile

    tempfile.mkstemp(prefix="pnpvideo-")


PLANTED = {
    _sound: "",
    _refuses: "",
    _raises: "traceback: IndexError in fuzz/harness.py: _raises",
    _exits: "traceback: SystemExit",
    _says_two_lines: "message: InputError",
    _hangs: "hang",
    _grows: "memory: over 64 MiB",
    _prints: "output: libtiff: warning",
    _warns: "output: ",
    _dies: "crash: SIGKILL",
    _leaves_a_process: "process: left behind",
    _leaves_a_file: "temporary file left behind",
}


def test_each_kind_of_misbehaviour_is_a_failure(tmp_path: Path) -> None:
    readers = {reader.__name__: reader for reader in PLANTED}
    seeds = [Seed(name, name, {"a.bin": b"content"}, "a.bin") for name in readers]
    found = outcomes(range(len(seeds)), seeds, readers, 0, tmp_path, 2, hang_seconds=2.0, most_bytes=MOST_BYTES)
    failures = {seeds[outcome.index].reader: outcome for outcome in found}
    assert failures.keys() == readers.keys()
    for reader, failure in PLANTED.items():
        outcome = failures[reader.__name__]
        assert outcome.failure.startswith(failure) and bool(outcome.failure) == bool(failure), outcome
        assert outcome.accepted == (reader in (_sound, _prints, _warns, _grows, _leaves_a_process, _leaves_a_file))


def test_what_follows_a_crash_is_still_read(tmp_path: Path) -> None:
    seeds = [Seed("x", name, {"a.bin": b""}, "a.bin") for name in ("dies", "sound", "dies", "sound")]
    found = outcomes(range(4), seeds, {"dies": _dies, "sound": _sound}, 0, tmp_path, workers=1)
    assert {each.index: each.accepted for each in found} == {0: False, 1: True, 2: False, 3: True}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    return corpus(tmp_path_factory.mktemp("corpus"))


def test_an_input_is_a_function_of_seed_and_number(seeds: list[Seed], tmp_path: Path) -> None:
    again = corpus(tmp_path)
    assert again == seeds
    for index in range(len(seeds), len(seeds) + 200):
        assert make(seeds, 1, index)[:2] == make(again, 1, index)[:2]
    changed = [make(seeds, 1, len(seeds) + n)[1] for n in range(200)]
    assert sum(files != dict(start.files) for files in changed for start in [make(seeds, 1, 0)[0]]) > 190


REFUSED = {"pages.tif", "model.safetensors", "model.ckpt"}
"""Sound files that are refused: several pages, a part of a checkpoint, pickles."""


def test_damaged_inputs_are_accepted_or_refused(seeds: list[Seed], tmp_path: Path) -> None:
    """A few of each kind; ``make fuzz`` reads thousands."""
    quick = [n for n, seed in enumerate(seeds) if seed.group != "video"][::6]
    found = list(outcomes([*quick, *range(1000, 1030)], seeds, READERS, 0, tmp_path, workers=1))
    assert [outcome for outcome in found if outcome.failure] == []
    undamaged = [outcome for outcome in found if outcome.index < len(seeds)]
    assert {Path(seeds[each.index].name).name for each in undamaged if not each.accepted} <= REFUSED


def test_the_table_counts_and_names_the_first_failure_of_each_kind() -> None:
    found = [
        Outcome(7, "png", False, "hang: stopped", ""),
        Outcome(3, "png", False, "hang: stopped", ""),
        Outcome(4, "png", True, "", ""),
        Outcome(5, "gif", False, "", "no GIF"),
    ]
    lines = table(found).splitlines()
    assert "| png | 3 | 1 | 0 | 2 |" in lines
    assert "| gif | 1 | 0 | 1 | 0 |" in lines
    assert "| all | 4 | 1 | 1 | 2 |" in lines
    assert lines[-1] == "2 x png: hang: stopped (input 3)"
