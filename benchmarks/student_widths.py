"""What training and applying a student cost as its width grows.

    python -m benchmarks.student_widths --widths 16 24 32 48 64

The width is of the finest layer; the others grow as in the size "small" (24, 32, 64, 96). Each width is measured in a
process of its own, without the perceptual term, whose tower costs the same at every width. The pictures are noise of
256 pixels, which cost what others cost.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from pnpvideo.student.apply import Applier
from pnpvideo.student.examples import Examples
from pnpvideo.student.network import SHAPES, Shape, parameters_of
from pnpvideo.student.student_file import Student, StudentCard
from pnpvideo.student.train import Recipe, Training

SIZE = 256
STEPS, FRAMES, WARM = 20, 50, 3


def main() -> None:
    """Print a row for each width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="*", default=[16, 24, 32, 48, 64])
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(measured(asked.only)))
        return
    print("| width | weights, M | file, MB | training, ms a step | peak MiB of training | applying, ms a frame |")
    print("|---|---|---|---|---|---|")
    for width in asked.widths:
        command = [sys.executable, "-m", "benchmarks.student_widths", "--only", str(width)]
        row = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
        cells = (row["weights"] / 1e6, row["weights"] * 2 / 1e6, row["step"], row["mebibytes"], row["frame"])
        print(
            f"| {width} | "
            + " | ".join(f"{cell:.{digits}f}" for cell, digits in zip(cells, (2, 1, 0, 0, 1), strict=True))
            + " |"
        )


def measured(width: int) -> dict[str, float]:
    """Weights, milliseconds of a step and of a frame, and the process's peak of memory while it trains."""
    import resource

    small = SHAPES["small"].widths
    shape = Shape(tuple(each * width // small[0] for each in small))
    pictures = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
    training = Training(Recipe(shape=shape, adversarial_after=0))
    steps = training.steps(Examples(pictures, pictures))
    step = _milliseconds(lambda: next(steps), STEPS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    applier = Applier(Student(training.average, StudentCard(shape=shape, size=(SIZE, SIZE), about="")))
    frame = _milliseconds(lambda: applier(pictures[0]), FRAMES)
    return {"weights": parameters_of(training.generator), "step": step, "mebibytes": peak, "frame": frame}


def _milliseconds(work: Callable[[], object], times: int) -> float:
    for _ in range(WARM):
        work()
    started = time.perf_counter()
    for _ in range(times):
        work()
    return 1000 * (time.perf_counter() - started) / times


if __name__ == "__main__":
    main()
