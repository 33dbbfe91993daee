"""What a run takes on a quiet and on a busy machine, by how OpenMP's threads wait for each other.

    python -m benchmarks.waiting --repeat 2

Each row is the command ``pnpvideo translate`` in a process of its own, with the row's variables and no other of
OpenMP's. "Busy" means: beside one process that burns a core. The least seconds of all repetitions are printed.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROWS: dict[str, dict[str, str]] = {
    "OpenMP's default": {"GOMP_SPINCOUNT": "300000"},
    "GOMP_SPINCOUNT=30000": {"GOMP_SPINCOUNT": "30000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "pnpvideo's default": {},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}


def main() -> None:
    """Measure every row, quiet and busy in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", default="samples/ball.mp4")
    parser.add_argument("--prompt", default="a photo of a red ball")
    parser.add_argument("--frames", default="0:6")
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    command = [sys.executable, "-m", "pnpvideo", "translate", options.clip, options.prompt]
    command += ["--preset", "draft", "--frames", options.frames, "--quiet"]
    taken: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for _ in range(options.repeat):
        for busy in (False, True):
            with _burner(busy):
                for row, variables in ROWS.items():
                    taken.setdefault((row, busy), []).append(_seconds(command, variables))
    print("| threads | quiet s | processor s | busy s | processor s |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        least = [min(taken[row, busy]) for busy in (False, True)]
        print("| " + " | ".join([row, *(f"{seconds:.1f}" for pair in least for seconds in pair)]) + " |")


@contextmanager
def _burner(busy: bool) -> Iterator[None]:
    """Keep one core busy, if ``busy``."""
    if not busy:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            yield
        finally:
            burner.kill()


def _seconds(command: list[str], variables: dict[str, str]) -> tuple[float, float]:
    """The seconds by the clock, and those of all processors, of one run."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    with tempfile.TemporaryDirectory() as folder:
        places = ["-o", str(Path(folder, "out.mp4")), "--store", str(Path(folder, "store"))]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([*command, *places], env=clean | variables, check=True)
        seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
