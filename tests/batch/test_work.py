"""The unit of work: a function of a picklable row, that raises nothing."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from pnpvideo.batch.rows import Common, read_rows
from pnpvideo.batch.work import Models, translate_row
from pnpvideo.errors import ModelError
from pnpvideo.events import Event, Progress, Report

Jobs = Callable[[str], Path]


def test_a_row_is_translated_wherever_it_is_sent(folder: Path, jobs: Jobs, common: Common) -> None:
    (row,) = read_rows(jobs('[[rows]]\ninput = "in/00.png"\n'), common)
    outcome = pickle.loads(pickle.dumps(translate_row(pickle.loads(pickle.dumps(row)))))
    assert (outcome.state, outcome.exit_code, outcome.error) == ("done", 0, None)
    assert (folder / "out/00.png").is_file() and len(outcome.output_sha256) == 64
    again = translate_row(row)
    assert (again.state, again.exit_code) == ("failed", 6) and "exists" in (again.error or "")


def test_a_bug_fails_one_row(jobs: Jobs, common: Common) -> None:
    (row,) = read_rows(jobs('[[rows]]\ninput = "in/00.png"\n'), common)

    def broken(event: Event) -> None:
        raise ZeroDivisionError("of the listener")

    outcome = translate_row(row, report=broken)
    assert outcome.state == "failed" and outcome.exit_code == 1
    assert outcome.error == "unexpected ZeroDivisionError: of the listener; please report it"


def test_a_model_stays_loaded_until_another_is_needed(folder: Path, jobs: Jobs, common: Common) -> None:
    (row,) = read_rows(jobs('[[rows]]\ninput = "in/00.png"\n'), common)
    loads: list[Event] = []
    report: Report = lambda event: loads.append(event) if isinstance(event, Progress) and event.done else None  # noqa: E731
    models = Models(report)
    first = models.of(row.options)
    assert models.of(row.options.changed({"seed": 4})) is first and len(loads) == 1
    with pytest.raises(ModelError, match="no model at"):
        models.of(row.options.changed({"model": "./none"}))
    with pytest.raises(ModelError, match="vae"):
        models.of(row.options.changed({"vae": folder / "no-vae"}))
