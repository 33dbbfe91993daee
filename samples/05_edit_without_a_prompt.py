"""Edit without a prompt, by naming what changes into what: ``python samples/05_edit_without_a_prompt.py``.

A captioner describes the picture; the edit is a direction in the space of text embeddings.
"""

from pathlib import Path

from PIL import Image

import pnpvideo
from pnpvideo.video.read import read

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)

first = next(read(here / "ball.mp4").frames())
Image.fromarray(first.pixels).save(out / "05-source.png")

result = pnpvideo.edit(out / "05-source.png", ("ball", "cube"), out / "05.png", overwrite=True)
print(result.report["texts"], result.output)
