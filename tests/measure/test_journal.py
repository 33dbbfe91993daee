"""The journal of finished figures."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pnpvideo.measure.journal import Journal

ROW = {"psnr": 31.5, "warp": float("nan")}


def test_rows_are_found_again_with_their_undefined_figures(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "model").put(ROW, "task", 3)
    found = Journal(path, "model").get("task", 3)
    assert found is not None and found["psnr"] == 31.5 and math.isnan(found["warp"])
    assert "NaN" not in path.read_text()


@pytest.mark.parametrize(
    ("context", "key"), [("other model", ("task", 3)), ("model", ("task", 4)), ("model", ("task",))]
)
def test_rows_of_another_context_or_key_are_not_found(context: str, key: tuple[object, ...], tmp_path: Path) -> None:
    Journal(tmp_path / "journal.jsonl", "model").put(ROW, "task", 3)
    assert Journal(tmp_path / "journal.jsonl", context).get(*key) is None


def test_a_truncated_line_is_skipped_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "model")
    journal.put(ROW, 1)
    whole = path.read_text()
    path.write_text(whole + "\n" + whole.strip()[:20])
    resumed = Journal(path, "model")
    assert resumed.get(1) is not None
    resumed.put(ROW, 2)
    assert Journal(path, "model").get(2) is not None


def test_lines_that_are_no_rows_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(["[]", "3", "null", '{"figures": {}}', '{"key": "x"}']))
    assert Journal(path).rows == {}


def test_without_a_path_nothing_is_kept() -> None:
    journal = Journal(None)
    journal.put(ROW, 1)
    assert journal.get(1) is None


def test_another_process_finds_the_rows_of_a_benchmark(tmp_path: Path) -> None:
    """Whatever the order in which it prints sets."""
    code = """
import sys
from dataclasses import replace
from pathlib import Path
from pnpvideo.backends.fake import FakeBackend
from pnpvideo.measure.journal import Journal
from pnpvideo.settings.options import Options

backend = FakeBackend({"a": [0.5]})
backend.card = replace(backend.card, learned_words=frozenset(f"word{number}" for number in range(50)))
journal = Journal.of(Path(sys.argv[1]), backend, "protocol", Options.from_flat({"steps": 7, "guidance": 2.0}))
print(journal.get("task", 1))
journal.put({"psnr": 1.0}, "task", 1)
"""
    said = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "journal.jsonl")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout.strip())
    assert said == ["None", "{'psnr': 1.0}"]
