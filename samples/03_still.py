"""A still is translated by the same call, from a file or in memory: ``python samples/03_still.py``."""

from pathlib import Path

from PIL import Image

import pnpvideo
from pnpvideo.video.read import read

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)

first = next(read(here / "cube.mp4").frames())
picture = Image.fromarray(first.pixels)

(translated,) = pnpvideo.load("miniature").translate_frames(
    [picture],
    "a photo of a blue cube on snow in daylight",
    prompts=pnpvideo.Prompts(source_prompt="a cartoon of a blue cube on snow in daylight"),
)
translated.save(out / "03.png")
print(out / "03.png")
