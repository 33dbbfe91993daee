"""Make the sample clips that artists drew, and drawings.json: ``python -m samples.drawings DIR``.

They are animations of Microsoft's Fluent emoji (MIT licence: drawings.LICENSE), of names that the shipped model was not
trained on. DIR keeps the package they come from, which is downloaded (165 MB).
"""

import json
import sys
from pathlib import Path

from pnpvideo.miniature.art.animation import animation, animation_caption
from pnpvideo.miniature.art.captions import with_article
from pnpvideo.miniature.art.names import held_out_names
from samples.clips import FOLDER, SIZE
from samples.render import write

FRAMES, EVERY, BACKDROP = 24, 2, "cream"
CLIPS = {"fish": "tropical fish"}
"""Sample -> name of the drawing."""


def description(name: str) -> dict[str, object]:
    """The entry of a clip in drawings.json."""
    drawing = {each.text: each for each in held_out_names()}[CLIPS[name]]
    return {
        "source_prompt": animation_caption(drawing, "3d", BACKDROP),
        "prompt": animation_caption(drawing, "flat", BACKDROP),
        "frames": FRAMES,
        "note": f"{with_article(CLIPS[name])} swims, drawn by Microsoft's artists (MIT licence)",
    }


def main(folder: Path) -> None:
    names = {name.text: name for name in held_out_names()}
    for sample, text in CLIPS.items():
        path = FOLDER / f"{sample}.mp4"
        write(path, animation(folder, names[text], FRAMES, every=EVERY, backdrop=BACKDROP, size=SIZE))
        print(f"{path.name}: {FRAMES} frames, {path.stat().st_size / 1000:.0f} kB")
    described = {sample: description(sample) for sample in CLIPS}
    (FOLDER / "drawings.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m samples.drawings DIR")
    main(Path(sys.argv[1]))
