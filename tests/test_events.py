"""What is said of progress is what the code reports."""

import re
from pathlib import Path

from pnpvideo.events import Progress

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"\b(?:stage|unit)(?:: str)? ?= ?\"([a-z ]+)\"")
AT_PLACES = re.compile(r"\.progress\(\"(\w+)\", .*\"(\w+)\"\)")


def test_every_stage_and_unit_is_named() -> None:
    sources = [*(ROOT / "pnpvideo").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    texts = [path.read_text("utf-8") for path in sources if "recipe" not in path.parts]
    reported = {name for text in texts for name in NAMED.findall(text)}
    reported |= {name for text in texts for pair in AT_PLACES.findall(text) for name in pair}
    assert {"invert", "sample"} | reported == set(re.findall(r"\"([a-z ]+)\"", Progress.__doc__ or ""))
