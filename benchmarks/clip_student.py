"""A clip's own student beside the whole clip through the engine, on held-out clips of the world whose truth is known.

    python -m benchmarks.clip_student --clips 4 --frames 120
    python -m benchmarks.clip_student --clips 1 --lengths 15 30 60 120 --plot out/student-lengths.png

The first prints a table: the truth, the source, "balanced" with token flow, and "balanced" with --student; seconds a
frame are of the whole command, from file to file, the model being loaded. The second measures the seconds at each
length, and draws them.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.load import load
from pnpvideo.measure.benchmark import SPLITS
from pnpvideo.measure.figures import measure_all, nanmean, table
from pnpvideo.measure.footage import Footage
from pnpvideo.measure.judge import Judge
from pnpvideo.miniature.world import random_scene
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.student.clip import translate_clip
from pnpvideo.video.read import read

ENGINE, STUDENT = "balanced, token flow", "balanced, student"
Frames = list[np.ndarray]


def main() -> None:
    """Print the table, or measure and draw the seconds at each length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--first", type=int, default=0, help="number of the first held-out clip")
    parser.add_argument("--task", default="cartoon:photo", help="styles of source and truth")
    parser.add_argument("--sheet", type=Path, help="write frames of source, engine, student and truth there")
    parser.add_argument("--lengths", type=int, nargs="*", help="frames of the clips that --plot compares")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    styles, backend = tuple(asked.task.split(":")), load("miniature")
    if asked.plot:
        draw({frames: seconds_at(backend, styles, asked.first, frames) for frames in asked.lengths}, asked.plot)
    else:
        compare(backend, styles, range(asked.first, asked.first + asked.clips), asked.frames, asked.sheet)


def compare(backend: Backend, styles: tuple[str, ...], clips: range, frames: int, sheet: Path | None) -> None:
    """Print the means of all measures over the clips, and what the student did on each."""
    judge, rows, shown = Judge(), dict[str, list[dict[str, float]]](), list[np.ndarray]()
    for number in clips:
        footage = Footage(random_scene(SPLITS["held-out"] + number), styles[0], styles[1], frames, 256)
        results = {"truth": footage.truth, "source": footage.source}
        seconds = dict.fromkeys(results, float("nan"))
        for name in (ENGINE, STUDENT):
            results[name], seconds[name], said = translated(footage, backend, name)
            print(f"clip {number}, {name}: {seconds[name]:.1f} s {said}", flush=True)
        for name, pictures in results.items():
            rows.setdefault(name, []).append(
                {"seconds": seconds[name] / frames, **measure_all(judge, footage, pictures)}
            )
        order = [results[name] for name in ("source", ENGINE, STUDENT, "truth")]
        shown += [np.hstack([np.vstack([each[index] for each in order]) for index in (0, frames // 3, frames - 6)])]
    print(
        table({name: {key: nanmean([row[key] for row in found]) for key in found[0]} for name, found in rows.items()})
    )
    if sheet is not None:
        Image.fromarray(np.hstack(shown)).save(sheet)


def translated(footage: Footage, backend: Backend, name: str) -> tuple[Frames, float, object]:
    """The frames, the seconds that the command took, and what it reports of the student."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = folder / "source"
        source.mkdir()
        for index, picture in enumerate(footage.source):
            Image.fromarray(picture).save(source / f"{index:04}.png")
        options = Options.from_flat({"source_prompt": footage.source_prompt, "store": folder / "store"})
        run = translate_clip if name == STUDENT else translate
        started = time.monotonic()
        result = run(source, footage.prompt, folder / "result", options, backend=backend)
        seconds = time.monotonic() - started
        frames = [frame.pixels for frame in read(folder / "result").frames()]
        return frames, seconds, result.report.get("student", "")


def seconds_at(backend: Backend, styles: tuple[str, ...], number: int, frames: int) -> dict[str, float]:
    """The seconds of both ways at that many frames of one clip."""
    footage = Footage(random_scene(SPLITS["held-out"] + number), styles[0], styles[1], frames, 256)
    found = {name: translated(footage, backend, name)[1] for name in (ENGINE, STUDENT)}
    print(f"{frames} frames: {found}", flush=True)
    return found


def draw(seconds: dict[int, dict[str, float]], path: Path) -> None:
    """Draw the seconds of both ways against the number of frames."""
    from matplotlib.figure import Figure

    figure = Figure((6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, marker in ((ENGINE, "o-"), (STUDENT, "s-")):
        axes.plot(list(seconds), [found[name] for found in seconds.values()], marker, label=name)
    axes.set(xlabel="frames", ylabel="seconds", xlim=(0, None), ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
