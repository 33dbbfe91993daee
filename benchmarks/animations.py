"""Animations by artists, of things that no training has shown, translated to another look.

    python -m benchmarks.animations DIR

DIR keeps the package of animations, which is downloaded (165 MB; Microsoft's Fluent emoji, MIT licence). Prints, for
each clip, the warp error of source and result by the source's estimated flow, the agreement with the prompt, and the
structure distance. There is no ground truth.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from pnpvideo.backends.load import load
from pnpvideo.measure.clip import measure_clip
from pnpvideo.measure.figures import nanmean
from pnpvideo.measure.sheet import SheetRow, draw_sheet
from pnpvideo.miniature.art.animation import animation, animation_caption
from pnpvideo.miniature.art.captions import LOOK_WORDS
from pnpvideo.miniature.art.names import held_out_names
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.video.read import read

NAMES = (
    "elephant",
    "pig face",
    "tropical fish",
    "baby chick",
    "polar bear",
    "water buffalo",
    "motorcycle",
    "bottle with popping cork",
)
"""Held-out names whose drawing moves."""


def main() -> None:
    """Translate the clips, print the table, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", metavar="DIR", type=Path)
    parser.add_argument("--clips", type=int, default=len(NAMES))
    parser.add_argument("--frames", type=int, default=16, help="consecutive frames of each clip")
    parser.add_argument("--look", choices=tuple(LOOK_WORDS), default="flat", help="look of the results")
    parser.add_argument("--coherence", default="flow")
    parser.add_argument("--sheet", type=Path, help="write frames of sources and results there")
    asked = parser.parse_args()
    backend = load("miniature")
    names = {name.text: name for name in held_out_names()}
    rows: list[dict[str, float]] = []
    shown: list[SheetRow] = []
    for text in NAMES[: asked.clips]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            source = folder / "source"
            source.mkdir()
            for index, frame in enumerate(animation(asked.directory, names[text], asked.frames)):
                Image.fromarray(frame).save(source / f"{index:03}.png")
            source_prompt, prompt = (animation_caption(names[text], look) for look in ("3d", asked.look))
            options = Options.from_flat(
                {"source_prompt": source_prompt, "store": folder / "store", "coherence": asked.coherence}
            )
            translate(source, prompt, folder / "result", options, backend=backend)
            found = measure_clip(source, folder / "result", prompt, source_prompt=source_prompt)
            row = {
                "warp of source": 1000 * _known(found.warp_of_source),
                "warp": 1000 * _known(found.warp),
                "edit success": _known(found.success),
                "structure": found.structure,
            }
            print(f"{text:20}", "  ".join(f"{key} {value:.3f}" for key, value in row.items()), flush=True)
            rows.append(row)
            chosen = (0, asked.frames // 2, asked.frames - 1)
            for label, place in ((text, source), ("", folder / "result")):
                frames = [frame.pixels for frame in read(place).frames()]
                shown.append(SheetRow([frames[index] for index in chosen], label))
    print(f"{'mean':20}", "  ".join(f"{key} {nanmean([row[key] for row in rows]):.3f}" for key in rows[0]))
    if asked.sheet is not None:
        draw_sheet(shown, f"3d animations, and their translation: {asked.look}").save(asked.sheet)


def _known(value: float | None) -> float:
    """NaN for a figure that there is none of, such as the warp error of one frame."""
    return float("nan") if value is None else float(value)


if __name__ == "__main__":
    main()
