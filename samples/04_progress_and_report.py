"""Progress is plain data, and a run's report is ready for JSON: ``python samples/04_progress_and_report.py``."""

import json
from pathlib import Path

from pnpvideo import Event, Notice, PnPVideoError, TranslateOptions
from pnpvideo.translate import translate

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)


def show(event: Event) -> None:
    if isinstance(event, Notice):
        print(f"note: {event.message}")
    else:
        print(f"shot {event.shot}, {event.stage}: {event.unit} {event.done} of {event.total}")


options = TranslateOptions(
    source_prompt="a cartoon of a yellow cylinder on grass in daylight",
    steps=20,
    frames=(6, 18),  # half-open, counted from 0; there is a cut between them, so two shots are translated
    overwrite=True,
)
try:
    result = translate(
        here / "cut.mp4", "a photo of a yellow cylinder on grass in daylight", out / "04.mp4", options, report=show
    )
except PnPVideoError as error:  # the base class of all errors of pnpvideo
    print(f"error: {error}")
    raise SystemExit(error.exit_code) from error
print(json.dumps(result.report, indent=2))
