"""Translate a sample with the shipped model, and show source, result and ground truth side by side.

``python -m samples.demo`` (or ``make demo``) writes ``out/demo.mp4``, ``out/demo.png``, and ``out/demo.html``, a page
that plays the three in step.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from pnpvideo.cli.verbosity import Verbosity, hush_libraries

from pnpvideo.compare import ComparisonOptions, write_page
from pnpvideo.errors import PnPVideoError
from pnpvideo.events import Event, Notice, Progress
from pnpvideo.measure.sheet import contact_sheet
from pnpvideo.publish import published, write_file
from pnpvideo.settings.options import Options, Runtime, Sampling
from pnpvideo.settings.prompts import Prompts
from pnpvideo.video.pixels import psnr
from pnpvideo.video.read import read

SAMPLES = Path(__file__).parent
OUT = SAMPLES.parent / "out"


class PlainProgress:
    """Print a line when a stage begins, for every tenth of it, and when it ends."""

    def __init__(self) -> None:
        self.last: tuple[str, int, int] | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            print(f"  note: {event.message}", flush=True)
        if not isinstance(event, Progress):
            return
        tenth = 10 * event.done // event.total if event.total else 0
        if self.last != (event.stage, event.shot, tenth):
            self.last = (event.stage, event.shot, tenth)
            of = f" of {event.total}" if event.total else ""
            print(f"  {event.stage}: {event.unit} {event.done}{of}", flush=True)


def pixels(path: Path) -> np.ndarray:
    """All frames of a clip, (f, h, w, 3) uint8."""
    return np.stack([frame.pixels for frame in read(path).frames()])


def descriptions() -> dict[str, dict[str, Any]]:
    """The samples by name: clips of the procedural world, and those that artists drew, whose truth nobody knows."""
    files = [SAMPLES / "captions.json", SAMPLES / "drawings.json"]
    return {name: words for file in files for name, words in json.loads(file.read_text(encoding="utf-8")).items()}


def demonstrate(name: str, options: Options, folder: Path) -> None:
    """Translate sample ``name`` into ``folder`` and compare it with its ground truth, if there is one. Raises
    PnPVideoError."""
    from pnpvideo.pipeline import translate  # loads the network's libraries, which takes seconds

    words = descriptions()[name]
    source, truth = SAMPLES / f"{name}.mp4", SAMPLES / f"{name}.truth.mp4"
    known = [truth] if truth.exists() else []
    folder.mkdir(parents=True, exist_ok=True)
    print(f"translating {source.name}: {words['source_prompt']!r} into {words['prompt']!r}", flush=True)
    started = time.monotonic()
    result = translate(source, words["prompt"], folder / "demo.mp4", options, report=PlainProgress())
    seconds = time.monotonic() - started

    clips = {"source": pixels(source), "result": pixels(result.output)}
    if known:
        clips["ground\ntruth"] = pixels(truth)
    sheet = folder / "demo.png"
    with published(sheet) as building:
        contact_sheet(clips).save(building)
    drawings = f", {words['drawings']} drawings," if "drawings" in words else ""
    print(f"translated {words['frames']} frames{drawings} in {seconds:.0f} s")
    if known:
        before, after = (psnr(clips[row], clips["ground\ntruth"]) for row in ("source", "result"))
        print(f"PSNR to the ground truth: source {before:.1f} dB, result {after:.1f} dB")
    print(f"result: {result.output}")
    print(f"sheet:  {sheet}")
    write_file(folder / "demo.json", json.dumps(result.report, indent=2).encode())
    page = write_page(
        source,
        [result.output, *known],
        folder / "demo.html",
        ComparisonOptions(prompt=words["prompt"], overwrite=True),
        run_reports=[folder / "demo.json"],
        report=PlainProgress(),
    )
    print(f"page:   {page.output}; open it in a browser: {page.output.absolute().as_uri()}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m samples.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="ball", help="the sample to translate (default: ball)")
    parser.add_argument("--model", default="miniature", help="as in pnpvideo translate")
    parser.add_argument("--steps", type=int, help="denoising steps (default: the preset's)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the result (default: out)")
    options = parser.parse_args(arguments)
    captions = descriptions()
    if options.name not in captions:
        parser.error(f"no sample is called {options.name!r}; there are: {', '.join(captions)}")
    hush_libraries(Verbosity())
    try:
        translation = Options(
            model=options.model,
            prompts=Prompts(source_prompt=captions[options.name]["source_prompt"]),
            sampling=Sampling(steps=options.steps),
            runtime=Runtime(store=options.out / "store"),
            overwrite=True,
        )
        demonstrate(options.name, translation, options.out)
    except PnPVideoError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
