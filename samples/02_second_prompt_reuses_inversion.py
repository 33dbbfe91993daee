"""The store keeps the inversion of a clip: a second prompt for the same clip only has to sample.

``python samples/02_second_prompt_reuses_inversion.py``
"""

from pathlib import Path

from pnpvideo import TranslateOptions
from pnpvideo.translate import translate

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)
options = TranslateOptions(
    source_prompt="a cartoon of a red ball on sand in daylight", store=out / "store", overwrite=True
)

for number, prompt in enumerate(
    ("a photo of a red ball on sand in daylight", "a pencil sketch of a red ball on sand in daylight")
):
    result = translate(here / "twos.mp4", prompt, out / f"02-{number}.mp4", options)
    seconds = result.report["seconds_by_stage"]
    # The second time the inversion is read from the store.
    print(f"{result.output}: inversion {seconds.get('invert', 0):.1f} s, sampling {seconds['sample']:.1f} s")
