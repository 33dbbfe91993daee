"""Render the sample clips, their ground truth and captions.json: ``python -m samples.render [name ...]``."""

import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from pnpvideo.miniature.world import render
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.write import Writer
from samples.clips import FOLDER, FPS, SAMPLES, SIZE, Sample


def pictures(sample: Sample, style: str) -> list[np.ndarray]:
    """The frames of ``sample`` in ``style``, each (SIZE, SIZE, 3) uint8; held frames share one picture."""
    frames = []
    for shot in sample.shots:
        for instant in shot.instants():
            picture = render([instant], [style], SIZE)[style][0]
            pixels = (picture * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
            frames.extend([pixels] * shot.hold)
    return frames


def write(path: Path, frames: list[np.ndarray]) -> None:
    info = ClipInfo(path=None, kind="video", width=SIZE, height=SIZE, fps=Fraction(FPS))
    with Writer(path, info, overwrite=True) as writer:
        for index, pixels in enumerate(frames):
            writer.append(pixels, Fraction(index, FPS), Fraction(1, FPS))


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    known = [sample.name for sample in SAMPLES]
    if unknown := sorted(set(names) - set(known)):
        sys.exit(f"no sample is called {', '.join(unknown)}; there are: {', '.join(known)}")
    for sample in SAMPLES:
        if names and sample.name not in names:
            continue
        for style, truth in (("cartoon", False), ("photo", True)):
            path = sample.path(truth)
            write(path, pictures(sample, style))
            print(f"{path.name}: {sample.frames} frames, {path.stat().st_size / 1000:.0f} kB", flush=True)
    captions = {sample.name: sample.description() for sample in SAMPLES}
    (FOLDER / "captions.json").write_text(json.dumps(captions, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
