"""A model is loaded once, and the inversion of a clip is kept in the store: a second prompt only has to sample.

``python samples/02_second_prompt_reuses_inversion.py``
"""

from pathlib import Path

import pnpvideo

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)
translator = pnpvideo.load("miniature")
seen = pnpvideo.Prompts(source_prompt="a cartoon of a red ball on sand in daylight")
kept = pnpvideo.Runtime(store=out / "store")

for number, prompt in enumerate(
    ("a photo of a red ball on sand in daylight", "a pencil sketch of a red ball on sand in daylight")
):
    output = out / f"02-{number}.mp4"
    result = translator.translate(here / "twos.mp4", prompt, output, prompts=seen, runtime=kept, overwrite=True)
    spent = result.report["seconds_by_stage"]
    # The second time next to nothing is spent on inverting: it came from the store.
    print(f"{result.output}: inverting {spent.get('invert', 0):.1f} s, sampling {spent['sample']:.1f} s")
