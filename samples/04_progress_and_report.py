"""Progress is plain data, and a run's report is ready for JSON: ``python samples/04_progress_and_report.py``."""

import json
from pathlib import Path

import pnpvideo
from pnpvideo import Event, Notice, PnPVideoError, Progress

here = Path(__file__).parent
out = here.parent / "out"
out.mkdir(exist_ok=True)


def show(event: Event) -> None:
    if isinstance(event, Notice):
        print(f"note: {event.message}")
    elif isinstance(event, Progress):
        share = "" if event.overall is None else f"; {event.overall:.0%} of the whole"
        print(f"shot {event.shot}, {event.stage}: {event.unit} {event.done} of {event.total}{share}")


try:
    result = pnpvideo.translate(
        here / "cut.mp4",
        "a photo of a yellow cylinder on grass in daylight",
        out / "04.mp4",
        prompts=pnpvideo.Prompts(source_prompt="a cartoon of a yellow cylinder on grass in daylight"),
        sampling=pnpvideo.Sampling(steps=20),
        # half-open, counted from 0; the cut lies within, so two shots are translated
        reading=pnpvideo.Reading(frames=(6, 18)),
        overwrite=True,
        report=show,
    )
except PnPVideoError as error:  # the root of all errors that pnpvideo raises on purpose
    print(f"error: {error}")
    raise SystemExit(error.exit_code) from error
print(json.dumps(result.report, indent=2))
