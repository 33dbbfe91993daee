"""Fill the template of a page. Jinja escapes every text; style and script are inlined and allowed by their hashes."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pnpvideo import __version__
from pnpvideo.compare.chart import HEIGHT, WIDTH, Chart
from pnpvideo.compare.media import Media
from pnpvideo.compare.runs import Row
from pnpvideo.compare.timeline import Timeline


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything that a page shows. media: the source, then the results."""

    media: Sequence[Media]
    timeline: Timeline
    charts: Sequence[Chart]
    runs: Sequence[bool]
    """For each result, whether there is a report of its run."""
    rows: Sequence[Row]
    """The facts of these runs."""
    notices: Sequence[str]

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads, as JSON. All lists over moments have one value for each moment."""
        return {
            "times": [float(time) for time in self.timeline.times],
            "end": float(self.timeline.end_seconds),
            "clips": [
                {
                    "label": each.label,
                    "numbers": [each.numbers[frame] for frame in frames],
                    "frames": [each.first + frame for frame in frames],
                    "last": each.first + len(each.times) - 1,
                }
                for each, frames in zip(self.media, self.timeline.shown, strict=True)
            ],
            "charts": [chart.texts for chart in self.charts],
        }


def render(view: View) -> str:
    """The page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"seconds": _seconds, "rate": _rate, "filesize": _file_size}
    style, script = _asset("page.css"), _asset("page.js")
    return environment.from_string(_asset("page.html")).render(
        view=view,
        style=Markup(style),  # of our own, as the script
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        width=WIDTH,
        height=HEIGHT,
        version=__version__,
    )


def _asset(name: str) -> str:
    return files("pnpvideo.compare").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """As a content security policy names an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _seconds(time: Fraction) -> str:
    return f"{float(time):.3f} s"


def _rate(fps: Fraction | None) -> str:
    return "–" if fps is None else f"{float(fps):.5g} a second"


def _file_size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} KB"
