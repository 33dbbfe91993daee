"""One call translates a clip: ``python samples/01_translate_a_clip.py``."""

from pathlib import Path

import pnpvideo

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)

result = pnpvideo.translate(
    here / "ball.mp4",
    "a photo of a red ball on grass at sunset",
    out / "01.mp4",
    # The source prompt says what the input shows; it helps the inversion.
    prompts=pnpvideo.Prompts(source_prompt="a cartoon of a red ball on grass at sunset"),
    overwrite=True,
)
print(f"{result.output}: {result.report['frames']} frames in {result.report['seconds']:.0f} s")
