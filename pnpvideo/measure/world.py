"""The world's benchmark: ``python -m pnpvideo.measure.world`` translates held-out clips by several recipes.

Each clip is a scene that training never saw, cartoon to photo; the same clip rendered as a photo is the ground truth.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pnpvideo.measure.edges import edge_agreement
from pnpvideo.measure.warp import warp_error
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.world import Scene, caption, exact_flow, look, random_scene, render
from pnpvideo.miniature.world.geometry import FIRST_THING
from pnpvideo.options import TranslateOptions
from pnpvideo.translate import translate
from pnpvideo.video.likeness import psnr
from pnpvideo.video.read import read

RECIPES: dict[str, dict[str, Any]] = {
    "pnp, none": {"method": "pnp", "coherence": "none"},
    "pnp, joint": {"method": "pnp", "coherence": "joint"},
    "pnp, flow": {"method": "pnp", "coherence": "flow"},
    "sdedit 0.4": {"method": "sdedit", "coherence": "none", "strength": 0.4},
    "sdedit 0.6": {"method": "sdedit", "coherence": "none", "strength": 0.6},
    "sdedit 0.8": {"method": "sdedit", "coherence": "none", "strength": 0.8},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pnpvideo.measure.world", description=__doc__)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=None)
    asked = parser.parse_args()
    options = TranslateOptions(model=asked.model, steps=asked.steps, guidance=asked.guidance)
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for number in range(asked.clips):
        scene = random_scene(HELD_OUT + number, things=1)
        for name, figures in measure_clip(scene, asked.frames, asked.size, options).items():
            rows.setdefault(name, []).append(figures)
        print(f"clip {number + 1} of {asked.clips} done", flush=True)
    print("| recipe | PSNR to the truth, dB | edge agreement | warp error x 1000 |\n|---|---|---|---|")
    for name, values in rows.items():
        likeness, edges, warp = np.mean(values, 0)
        print(f"| {name} | {likeness:.2f} | {edges:.3f} | {1000 * warp:.2f} |")


def measure_clip(
    scene: Scene, frames: int, size: int, options: TranslateOptions
) -> dict[str, tuple[float, float, float]]:
    """Recipe -> (PSNR to the truth, edge agreement, warp error), with source and truth themselves as floors."""
    times = [index / max(1, frames - 1) for index in range(frames)]
    drawn = [render([scene.at(time)], ["cartoon", "photo"], size) for time in times]
    source, truth = ([_pixels(one[style][0]) for one in drawn] for style in ("cartoon", "photo"))
    masks = [(look([scene.at(time)], size).ids >= FIRST_THING).reshape(size, size).numpy() for time in times]
    flows = [exact_flow(scene, a, b, size) for a, b in pairwise(times)]

    def figures(result: Sequence[np.ndarray]) -> tuple[float, float, float]:
        edges = [edge_agreement(picture, mask) for picture, mask in zip(result, masks, strict=True)]
        return psnr(np.stack(result), np.stack(truth)), float(np.mean(edges)), warp_error(result, flows)

    rows = {"source": figures(source), "truth": figures(truth)}
    with tempfile.TemporaryDirectory() as folder:
        translated = _translator(Path(folder), source, caption(scene, "cartoon"), caption(scene, "photo"))
        for name, recipe in RECIPES.items():
            rows[name] = figures(translated(replace(options, **recipe)))
    return rows


def _translator(
    folder: Path, source: Sequence[np.ndarray], source_prompt: str, prompt: str
) -> Callable[[TranslateOptions], list[np.ndarray]]:
    """Translates the frames ``source``; the inversion is shared by all recipes."""
    given = folder / "source"
    given.mkdir()
    for index, picture in enumerate(source):
        Image.fromarray(picture).save(given / f"{index:03d}.png")

    def translated(options: TranslateOptions) -> list[np.ndarray]:
        asked = replace(options, source_prompt=source_prompt, store=folder / "store", overwrite=True)
        translate(given, prompt, folder / "result", asked)
        return [frame.pixels for frame in read(folder / "result").frames()]

    return translated


def _pixels(picture: torch.Tensor) -> np.ndarray:
    return (picture * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


if __name__ == "__main__":
    main()
