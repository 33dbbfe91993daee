"""Does a search find better options? ``pnpvideo tune`` on held-out clips of the world, judged on the whole clips too.

    python -m benchmarks.tuning --clips 8

Each clip is a folder of frames, a cartoon that becomes a photo. The search sees a few of them; then the whole clip is
translated by the defaults and by what the search found, with one preset, and both results are measured.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.events import ignore
from pnpvideo.explore.cells import Cell
from pnpvideo.explore.trial import Trials
from pnpvideo.explore.tuning import Search, tune_cell
from pnpvideo.measure.clip import load_judges
from pnpvideo.measure.judge_measures import structure_distance
from pnpvideo.measure.world import WorldOptions
from pnpvideo.pipeline import translate
from pnpvideo.video.read import read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=8, help="of each clip")
    parser.add_argument("--trials", type=int, default=Search.trials)
    parser.add_argument("--split", default="held-out")
    asked = parser.parse_args()
    world = WorldOptions(clips=asked.clips, frames=asked.frames, split=asked.split)
    print("| clip | found | agreement, judged frames | structure | agreement, whole clip | structure | evaluations |")
    print("|---|---|---|---|---|---|---|", flush=True)
    means = []
    for number in range(asked.clips):
        with tempfile.TemporaryDirectory() as folder:
            row, words = measured(world, number, asked.trials, Path(folder))
        means.append(row)
        print(f"| {number} | {words} | {shown(row)} |", flush=True)
    print(f"| mean | | {shown(tuple(np.mean(np.array(means), 0).tolist()))} |")


def measured(world: WorldOptions, number: int, trials: int, folder: Path) -> tuple[tuple[float, ...], str]:
    """Agreement and structure of defaults and best, on the judged frames and on the whole clip, and evaluations."""
    footage = world.footage(("cartoon", "photo"), number)
    source = folder / "source"
    source.mkdir()
    for index, picture in enumerate(footage.source):
        Image.fromarray(picture).save(source / f"{index:03d}.png")
    values = {"source_prompt": footage.source_prompt, "store": folder / "store", "preset": "draft"}
    cell = Cell(prompt=footage.prompt, values=values)
    search = Search(trials=trials)
    found = tune_cell(Trials(source, cell.options(), ignore, stage="trial"), cell, search)
    judge, tower = load_judges(("miniature",), "cpu")
    whole = []
    for index in dict.fromkeys((0, found.best)):
        output = folder / f"result-{index}"
        translate(source, footage.prompt, output, found.outcomes[index].cell.options())
        frames = [frame.pixels for frame in read(output).frames()]
        agreement = 100 * float(judge.cosines(frames, [footage.prompt]).mean())
        whole.append((agreement, structure_distance(tower, frames, footage.source)))
    first, best = found.tried[0], found.tried[found.best]
    row = (first.agreement, best.agreement, first.structure, best.structure)
    return (*row, whole[0][0], whole[-1][0], whole[0][1], whole[-1][1], float(found.evaluations)), found.flags()


def shown(row: tuple[float, ...]) -> str:
    pairs = [f"{before:.2f} → {after:.2f}" for before, after in zip(row[0:8:2], row[1:8:2], strict=True)]
    return " | ".join([*pairs, f"{row[8]:.0f}"])


if __name__ == "__main__":
    main()
