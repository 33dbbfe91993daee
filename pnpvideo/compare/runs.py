"""Read the report of a run, as ``pnpvideo translate --json`` prints it, for people to compare."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnpvideo.errors import InputError, OptionError, printable
from pnpvideo.events import Notice, Report
from pnpvideo.kinds import Frames
from pnpvideo.settings.effective import CARD, DEFAULT, METHOD, MODEL, PRESET
from pnpvideo.settings.options import KNOWN
from pnpvideo.video.span import Span, TimeSpan

MOST_BYTES = 4_000_000
ALWAYS = ("prompt", "method", "coherence", "preset", "seconds")
"""Facts that a page shows in any case; others, unless they matter, are folded."""
LONGEST_VALUE = 300
"""Characters of one value that a page shows."""


@dataclass(frozen=True)
class Run:
    """How a result was made: the prompt, the options that the run used, and what it took; as texts by name.

    stated: names of the options that somebody stated for this run, instead of leaving them to model and preset.
    span: the frames of the source that the result was made from; None: all of them.
    """

    facts: Mapping[str, str]
    stated: frozenset[str] = frozenset()
    span: Span | None = None


@dataclass(frozen=True)
class Row:
    """One fact of all runs. values: for each result, or "" where its report does not have it."""

    name: str
    values: tuple[str, ...]
    differs: bool
    matters: bool
    """Whether it differs, or somebody stated it for one of the runs; prompt, method and seconds always matter."""


def find_runs(results: Sequence[Path], named: Sequence[Path], report: Report) -> list[Run | None]:
    """The run of each result, from the file at its place in ``named``, else from ``RESULT.json`` beside it, if any.

    Raises OptionError for more files than results, InputError for a named file that is no report.
    """
    if len(named) > len(results):
        raise OptionError(f"{len(named)} reports were given for {len(results)} results; give one for each, in order")
    beside = [_beside(result, report) for result in results[len(named) :]]
    return [*(read_run(path) for path in named), *beside]


def _beside(result: Path, report: Report) -> Run | None:
    path = Path(f"{result}.json")
    try:
        return read_run(path) if path.is_file() else None
    except InputError as error:
        report(Notice(message=f"{error}; it is left out"))
        return None


def read_run(path: Path) -> Run:
    """Read a report. Raises InputError if the file is none."""
    name = printable(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        loaded = json.loads(content) if len(content) <= MOST_BYTES else None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, dict) or not ({"prompt", "options", "resolved"} & loaded.keys()):
        raise InputError(f"{name} is no report of a run; accepted is what `pnpvideo translate --json` prints")
    options = loaded.get("resolved", loaded.get("options"))
    facts = {"prompt": loaded.get("prompt"), **(options if isinstance(options, dict) else {})}
    facts["seconds"] = loaded.get("seconds")
    origins = loaded.get("origins")
    origins = origins if isinstance(origins, dict) else {}
    stated = {_text(key) for key, origin in origins.items() if origin not in (CARD, DEFAULT, METHOD, MODEL, PRESET)}
    return Run(
        {_text(key): _text(value) for key, value in facts.items()}, frozenset(stated), _span(facts.get("frames"))
    )


def span_of(runs: Sequence[Run | None], report: Report) -> Span | None:
    """The frames of the source that all results with a report were made from, with a notice; None if they differ."""
    spans = {run.span for run in runs if run is not None}
    span = spans.pop() if len(spans) == 1 else None
    if span is not None:
        frames = str(span) if isinstance(span, TimeSpan) else f"{span[0]}:{'' if span[1] is None else span[1]}"
        report(
            Notice(
                message=f"by their reports, the results were made from the frames {frames}, which are shown; "
                "--frames 0: shows all"
            )
        )
    return span


def _span(value: Any) -> Span | None:
    """The span that an option of a report states; None for none, and for what is none."""
    kind = Frames()
    try:
        span: Span | None = kind.parse("frames", value) if isinstance(value, str) else value and tuple(value)
        if span is not None:
            kind.check("frames", span)
        return span
    except (OptionError, TypeError):
        return None


def rows_of(runs: Sequence[Run | None]) -> list[Row]:
    """The facts of all runs in the order of their reports; those that no run has a value for are left out."""
    names = dict.fromkeys(name for run in runs if run is not None for name in run.facts)
    rows = []
    for name in names:
        values = tuple("" if run is None else run.facts.get(name, "") for run in runs)
        reported = {value for value, run in zip(values, runs, strict=True) if run is not None}
        if any(values):
            differs, stated = len(reported) > 1, any(run is not None and name in run.stated for run in runs)
            aside = name in KNOWN and KNOWN[name].section in ("output", "machine")
            rows.append(Row(name, values, differs, differs or (stated and not aside) or name in ALWAYS))
    return rows


def _text(value: Any) -> str:
    if value is None or value == [] or value == "":
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"
