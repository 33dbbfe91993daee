"""Temporary folders of killed processes are removed by the next one, those of living ones are not."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from filelock import BaseFileLock

from pnpvideo.scratch import remove_leftovers, scratch_folder

HOLD = """
import sys
from pnpvideo.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "x").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the system that is this test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_is_there_for_the_block(temporary: Path) -> None:
    with scratch_folder() as first, scratch_folder() as second:
        assert first != second and first.is_dir() and list(second.iterdir()) == []
        remove_leftovers()
        assert first.is_dir() and second.is_dir()
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_what_a_killed_process_left_is_removed_and_what_lives_stays(temporary: Path) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    folders = [Path(process.stdout.readline().strip()) for process in both if process.stdout]
    both[0].send_signal(signal.SIGKILL)
    both[0].communicate()
    assert all(folder.exists() for folder in folders)
    with scratch_folder():
        assert not folders[0].parent.exists() and (folders[1] / "x").exists()
    both[1].communicate()
    assert list(temporary.iterdir()) == []


def test_a_folder_that_was_taken_for_a_leftover_before_its_lock_was_held_is_made_anew(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []
    enter = BaseFileLock.__enter__

    def enter_late(lock: BaseFileLock) -> Any:
        if not removed:
            removed.append(Path(lock.lock_file).parent)
            shutil.rmtree(removed[0])
        return enter(lock)

    monkeypatch.setattr(BaseFileLock, "__enter__", enter_late)
    with scratch_folder() as folder:
        assert folder.is_dir() and folder.parent not in removed
    assert removed and list(temporary.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_is_not_followed_and_strangers_stay(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".lock").write_bytes(b"")
    (temporary / "pnpvideo-link").symlink_to(elsewhere)
    (temporary / "pnpvideo-of-mine").mkdir()
    remove_leftovers()
    assert sorted(path.name for path in temporary.iterdir()) == ["elsewhere", "pnpvideo-link", "pnpvideo-of-mine"]
    assert (elsewhere / ".lock").exists()
