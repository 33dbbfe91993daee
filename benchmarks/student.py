"""A task's student beside its teacher, on held-out clips of the world whose truth is known.

    python -m benchmarks.student inputs out/cartoons --scenes 1000
    pnpvideo distill out/cartoons --from cartoon --to photo --method pnp -o out/cartoon2photo --pairs 1000
    python -m benchmarks.student compare out/cartoon2photo --clips 8

"inputs" renders one cartoon each of scenes that neither training nor any benchmark uses. "compare" prints a table: the
truth, the source, the teacher with token flow, and each student. Seconds a frame are those of a student's network
alone, and of the teacher those of a whole translation, from reading and captioning to writing. The lines below the
table say what decoding, translating and encoding a clip of 240 frames takes with each student.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
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
from pnpvideo.student.apply import Applier, apply
from pnpvideo.student.student_file import load_student
from pnpvideo.student.threads import Workers
from pnpvideo.video.ffmpeg import run
from pnpvideo.video.read import read

FIRST_SCENE = 30_000_000
"""Number of the first scene of the inputs."""
SPEED_FRAMES = 240

Frames = list[np.ndarray]


def main() -> None:
    """Render inputs, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    inputs = commands.add_parser("inputs")
    inputs.add_argument("folder", type=Path)
    inputs.add_argument("--scenes", type=int, default=1000)
    inputs.add_argument("--style", default="cartoon")
    beside = commands.add_parser("compare")
    beside.add_argument("students", type=Path, nargs="+")
    beside.add_argument("--clips", type=int, default=8)
    beside.add_argument("--frames", type=int, default=8)
    beside.add_argument("--task", default="cartoon:photo")
    beside.add_argument("--sheet", type=Path, help="write source, teacher, student and truth of each clip there")
    options = parser.parse_args()
    if options.command == "inputs":
        render_inputs(options.folder, options.scenes, options.style)
    else:
        compare(options.students, options.clips, options.frames, tuple(options.task.split(":")), options.sheet)


def render_inputs(folder: Path, scenes: int, style: str) -> None:
    """Write the middle moment of each scene in ``style`` as a picture of 256 pixels; those that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(scenes):
        path = folder / f"{number:05}.png"
        if not path.exists():
            Image.fromarray(Footage(random_scene(FIRST_SCENE + number), style, style, 1, 256).source[0]).save(path)


def compare(students: list[Path], clips: int, frames: int, task: tuple[str, ...], sheet: Path | None) -> None:
    """Measure truth, source, teacher and students on each clip; print the means, and the students' speed."""
    appliers = {path.name: Applier(load_student(path)) for path in students}
    judge, backend = Judge(), load("miniature")
    rows: dict[str, list[dict[str, float]]] = {}
    shown: list[np.ndarray] = []
    for number in range(clips):
        footage = Footage(random_scene(SPLITS["held-out"] + number), task[0], task[1], frames, 256)
        with tempfile.TemporaryDirectory() as folder:
            results: dict[str, tuple[Frames, float]] = {
                "truth": (footage.truth, float("nan")),
                "source": (footage.source, float("nan")),
                "teacher, flow": _timed(partial(_taught, footage, Path(folder), backend, task)),
                **{name: _timed(partial(_applied, applier, footage.source)) for name, applier in appliers.items()},
            }
        for name, (pictures, seconds) in results.items():
            rows.setdefault(name, []).append({"seconds": seconds, **measure_all(judge, footage, pictures)})
        middle = frames // 2
        order = ("source", "teacher, flow", *appliers, "truth")
        shown.append(np.hstack([results[name][0][middle] for name in order]))
    means = {name: {key: nanmean([row[key] for row in found]) for key in found[0]} for name, found in rows.items()}
    print(table(means))
    for name, applier in appliers.items():
        print(f"{name}: {_speed(applier, footage.source)}")
    if sheet is not None:
        Image.fromarray(np.vstack(shown)).save(sheet)


def _timed(work: Callable[[], Frames]) -> tuple[Frames, float]:
    """The frames, and the seconds that each took."""
    started = time.monotonic()
    frames = work()
    return frames, (time.monotonic() - started) / len(frames)


def _applied(applier: Applier, frames: Frames) -> Frames:
    with Workers(applier, applier.threads(len(frames))) as workers:
        made = [workers.start(picture) for picture in frames]
        return [picture.result() for picture in made]


def _taught(footage: Footage, folder: Path, backend: Backend, task: tuple[str, ...]) -> Frames:
    source = folder / "source"
    source.mkdir()
    for index, picture in enumerate(footage.source):
        Image.fromarray(picture).save(source / f"{index:03}.png")
    options = Options.from_flat({"method": "pnp", "change": task, "store": folder / "store"})
    translate(source, None, folder / "result", options, backend=backend)
    return [frame.pixels for frame in read(folder / "result").frames()]


def _speed(applier: Applier, frames: Frames) -> str:
    """Seconds that a clip takes from file to file, and of that, each part by itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, picture in enumerate(frames):
            Image.fromarray(picture).save(folder / f"{index:03}.png")
        clip = folder / "clip.mp4"
        looped = ["-stream_loop", "-1", "-framerate", "24", "-i", str(folder / "%03d.png")]
        status, said = run([*looped, "-frames:v", str(SPEED_FRAMES), "-pix_fmt", "yuv420p", str(clip)], 60)
        if status:
            raise RuntimeError(said)
        pictures, decoding = _timed(lambda: [frame.pixels for frame in read(clip).frames()])
        _, translating = _timed(partial(_applied, applier, pictures))
        started = time.monotonic()
        apply(applier, clip, folder / "out.mp4")
        whole = (time.monotonic() - started) / len(pictures)
    return (
        f"{1 / whole:.1f} frames a second from file to file ({1000 * whole:.1f} ms a frame: decoding "
        f"{1000 * decoding:.1f}, the network {1000 * translating:.1f}, the rest is encoding and waiting); "
        f"{applier.dtype}"
    )


if __name__ == "__main__":
    main()
