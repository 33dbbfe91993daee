"""A still is translated by the same call: ``python samples/03_still.py``."""

from pathlib import Path

from PIL import Image

from pnpvideo import TranslateOptions
from pnpvideo.translate import translate
from pnpvideo.video.read import read

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)

first = next(read(here / "cube.mp4").frames())
Image.fromarray(first.pixels).save(out / "03-source.png")

result = translate(
    out / "03-source.png",
    "a photo of a blue cube on snow in daylight",
    out / "03.png",
    TranslateOptions(source_prompt="a cartoon of a blue cube on snow in daylight", overwrite=True),
)
print(result.output)
