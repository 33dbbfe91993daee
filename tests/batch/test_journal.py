"""The journal: what it says is done is done, a torn line loses nothing but itself, and two batches do not share it."""

from pathlib import Path

import pytest

from pnpvideo.batch.journal import DONE, FAILED, STARTED, Journal, journal_path, locked
from pnpvideo.errors import OutputError
from pnpvideo.report import content_hash


def test_a_row_is_done_while_its_output_stands_as_it_was(tmp_path: Path) -> None:
    output, path = tmp_path / "o.png", journal_path(tmp_path / "j.toml")
    output.write_bytes(b"made")
    with locked(path) as journal:
        journal.write("a", STARTED, {})
        journal.write("b", STARTED, {})
        journal.write("c", FAILED, {})
        journal.write("a", DONE, {"output_sha256": content_hash(output)})
    found = Journal.read(path)
    assert found.done("a", output) is not None
    assert found.done("b", output) is None and found.was_begun("b") and not found.was_begun("c")
    output.write_bytes(b"changed")
    assert found.done("a", output) is None
    assert sorted(each.name for each in tmp_path.iterdir()) == ["j.toml.journal.jsonl", "o.png"]


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text('{"key": "a", "state": "started"}\n[3]\n{"key": "b", "sta', "utf-8")
    with locked(path) as journal:
        assert set(journal.lines) == {"a"}
        journal.write("c", DONE, {})
    assert set(Journal.read(path).lines) == {"a", "c"}


def test_two_batches_do_not_share_a_journal(tmp_path: Path) -> None:
    with locked(tmp_path / "j"), pytest.raises(OutputError, match="in use by another batch"), locked(tmp_path / "j"):
        pass
    with locked(tmp_path / "j"):
        pass


def test_a_journal_that_is_no_file_of_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("", "utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    for name in ("link", "."):
        with pytest.raises(OutputError, match="no regular file"):
            Journal.read(tmp_path / name)
    with pytest.raises(OutputError, match="does not exist; make it first"), locked(tmp_path / "none/j"):
        pass
