"""The result of a benchmark: means, the table with the published rows beside them, and the protocol."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pnpvideo.measure.figures import nanmean, replace_nonfinite
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.row import Frames, Suite

Means = dict[str, dict[str, float]]
"""Recipe or baseline -> measure -> mean over the rows that have it."""


@dataclass(frozen=True)
class SuiteResult:
    """protocol: model, options, judges, number of rows. figures: mode -> recipe -> (kind, figures) of each row.
    missing: judge -> why it is missing. examples: heading -> recipe -> pictures, for a contact sheet."""

    suite: Suite
    protocol: dict[str, Any]
    figures: Mapping[Mode, Mapping[str, list[tuple[str, dict[str, float]]]]]
    missing: Mapping[str, str] = field(default_factory=dict)
    examples: dict[str, dict[str, Frames]] = field(default_factory=dict)

    def means(self, mode: Mode, kind: str | None = None) -> Means:
        """Means over all rows, or over those of one kind."""
        found: Means = {}
        for recipe, rows in self.figures[mode].items():
            counted = [figures for each, figures in rows if kind in (None, each)]
            names = dict.fromkeys(name for figures in counted for name in figures)
            found[recipe] = {name: nanmean([figures[name] for figures in counted if name in figures]) for name in names}
        return found

    def markdown(self) -> str:
        """A heading, a table and its protocol for each mode; what was not run, and why."""
        parts = [part for mode in self.figures for part in self._table(mode)]
        rows = f"{self.protocol['rows']} of {self.suite.complete} edits"
        short = "" if self.protocol["rows"] == self.suite.complete else "; the published rows are of all of them"
        judges = ", ".join(f"{name} {which}" for name, which in self.protocol["judges"].items()) or "none"
        parts.append(f"{rows}{short}. Model {self.protocol['model']}. Judges: {judges}.")
        for name, options in {"All recipes": self.protocol["set for all"], **self.protocol["recipes"]}.items():
            stated = ", ".join(f"{key} {value}" for key, value in options.items())
            parts.append(f"{name}: {stated or 'what the model recommends'}.")
        for name, why in {**self.missing, **self.suite.not_run}.items():
            parts.append(f"Not run: {name}: {why}.")
        return "\n\n".join(parts)

    def json(self) -> str:
        """One strict JSON object: the protocol and every mean, also by kind; null where it is not a finite number."""
        kinds = sorted({kind for rows in self.figures.values() for each in rows.values() for kind, _ in each} - {""})
        found = {
            "benchmark": self.suite.name,
            "protocol": self.protocol,
            "figures": {mode.value: self.means(mode) for mode in self.figures},
            "rows counted": {mode.value: self._counts(mode) for mode in self.figures},
            "by kind": {mode.value: {kind: self.means(mode, kind) for kind in kinds} for mode in self.figures},
            "units": {name: column.heading for name, column in self.suite.columns.items()},
            "published": [
                {"name": row.name, "figures": dict(row.figures), "source": row.source} for row in self.suite.published
            ],
            "not run": {**self.missing, **self.suite.not_run},
        }
        return json.dumps(replace_nonfinite(found), indent=2, default=str, allow_nan=False)

    def _counts(self, mode: Mode) -> dict[str, dict[str, int]]:
        """Recipe -> measure -> number of rows whose figure is a number."""
        return {
            recipe: {
                name: sum(not np.isnan(figures.get(name, float("nan"))) for _, figures in rows)
                for name in self.suite.columns
            }
            for recipe, rows in self.figures[mode].items()
        }

    def _table(self, mode: Mode) -> list[str]:
        columns = self.suite.columns
        lines = [
            "| recipe | " + " | ".join(column.heading for column in columns.values()) + " |",
            "|---|" + "---|" * len(columns),
        ]
        for name, means in self.means(mode).items():
            cells = [_cell(means.get(key), column.scale, column.digits) for key, column in columns.items()]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        if mode is Mode.STRICT:
            said = "strict: what compat does wrong is left out, so no published row stands beside these."
            return [f"### {self.suite.title}, strict", "\n".join(lines), said]
        sources = list(dict.fromkeys(row.source for row in self.suite.published))
        for row in self.suite.published:
            cells = [
                f"{row.figures[key]:.{column.digits}f}" if key in row.figures else "-"
                for key, column in columns.items()
            ]
            lines.append(f"| {row.name} [{1 + sources.index(row.source)}] | " + " | ".join(cells) + " |")
        notes = [f"compat: as the paper's code computes them: {self.suite.compat}."]
        notes += [f"[{number}] published: {source}" for number, source in enumerate(sources, 1)]
        return [f"### {self.suite.title}, compat", "\n".join(lines), "\n\n".join(notes)]


def _cell(value: float | None, scale: float, digits: int) -> str:
    if value is None:
        return "not run"
    return "-" if np.isnan(value) else f"{value * scale:.{digits}f}"
