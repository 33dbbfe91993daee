"""The reports of runs: found, checked, and set beside each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from pnpvideo.compare.runs import find_runs, read_run, rows_of, span_of
from pnpvideo.errors import InputError, OptionError
from pnpvideo.video.span import Span, TimeSpan
from tests.compare.conftest import Notices


def written(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_a_report_is_read_from_the_named_file_or_from_beside_the_result(tmp_path: Path, notices: Notices) -> None:
    named = written(tmp_path / "a.json", prompt="named")
    written(tmp_path / "two.mp4.json", prompt="beside")
    results = [tmp_path / "one.mp4", tmp_path / "two.mp4", tmp_path / "three.mp4"]
    one, two, three = find_runs(results, [named], notices)
    assert one is not None and one.facts["prompt"] == "named"
    assert two is not None and two.facts["prompt"] == "beside"
    assert three is None and notices.said == []


def test_another_json_beside_a_result_is_left_out_and_that_is_said(tmp_path: Path, notices: Notices) -> None:
    (tmp_path / "a.mp4.json").write_text("[]")
    assert find_runs([tmp_path / "a.mp4"], [], notices) == [None]
    assert notices.said[0].endswith("prints; it is left out")


@pytest.mark.parametrize("content", ["", "[]", "{}", "nothing", '{"prompt": ', "[" * 100_000, "\0"])
def test_what_is_no_report_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json is no report of a run"):
        read_run(tmp_path / "a.json")


def test_a_missing_report_and_too_many_are_errors(tmp_path: Path, notices: Notices) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_run(tmp_path / "a.json")
    with pytest.raises(OptionError, match="2 reports were given for 1 results"):
        find_runs([tmp_path / "a.mp4"], [tmp_path / "a", tmp_path / "b"], notices)


def test_rows_say_what_differs_and_what_somebody_stated(tmp_path: Path) -> None:
    options = {"steps": 8, "seed": 0, "store": "here", "mask": None, "guidance": 2.0}
    origins = {"steps": "flag", "store": "flag", "seed": "default", "guidance": "checkpoint's card"}
    one = read_run(written(tmp_path / "a", prompt="a\x1b", resolved=options, origins=origins, seconds=1.5))
    two = read_run(written(tmp_path / "b", prompt="a\x1b", resolved={**options, "seed": 3}, origins=origins))
    rows = {row.name: row for row in rows_of([one, None, two])}
    assert rows["prompt"].values == ("a\\x1b", "", "a\\x1b")
    assert [name for name, row in rows.items() if row.differs] == ["seed", "seconds"]
    assert [name for name, row in rows.items() if row.matters] == ["prompt", "steps", "seed", "seconds"]
    assert "mask" not in rows and rows["guidance"].values == ("2", "", "2")


def test_long_and_nested_values_are_shortened(tmp_path: Path) -> None:
    run = read_run(written(tmp_path / "a", prompt="x" * 10_000, options={"deep": {"a": ["é"]}}))
    assert len(run.facts["prompt"]) < 400 and run.facts["deep"] == '{"a": ["é"]}'


@pytest.mark.parametrize(
    ("frames", "span"),
    [([2, 5], (2, 5)), ([2, None], (2, None)), ("0.5s:2s", TimeSpan(0.5, 2)), (None, None)]
    + [(nonsense, None) for nonsense in ("x", 3, [], [1], [5, 2], [[1], 2], {"a": 1}, True)],
)
def test_the_span_of_a_run_is_read(tmp_path: Path, frames: object, span: Span | None) -> None:
    assert read_run(written(tmp_path / "a", prompt="a", options={"frames": frames})).span == span


def test_a_span_is_shared_by_all_reports_or_none(tmp_path: Path, notices: Notices) -> None:
    one, other = (
        read_run(written(tmp_path / name, prompt="a", options={"frames": frames}))
        for name, frames in (("a", [2, 5]), ("b", [0, 3]))
    )
    assert span_of([one, None, one], notices) == (2, 5)
    assert "were made from the frames 2:5, which are shown" in notices.said[0]
    assert span_of([one, other], notices) is None and span_of([None], notices) is None
    assert len(notices.said) == 1
