"""What is told of a download, without one. See test_hub.py for downloads."""

import os
import time
from pathlib import Path

import pytest

from pnpvideo.backends.download import bytes_in, remove_abandoned, spoken_bytes


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (1000, "1.0 kB"),
        (99_400, "99.4 kB"),
        (999_600, "1.0 MB"),
        (4_265_000_000, "4.3 GB"),
        (120_000_000_000, "120 GB"),
    ],
)
def test_sizes_are_spoken(count: int, said: str) -> None:
    assert spoken_bytes(count) == said


def test_files_count_once_and_links_do_not(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "a").write_bytes(bytes(100))
    (tmp_path / "b.incomplete").write_bytes(bytes(20))
    (tmp_path / "link").symlink_to(tmp_path / "blobs" / "a")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert bytes_in(tmp_path) == 120
    assert bytes_in(tmp_path / "none") == 0


def test_partial_files_of_dead_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    long_ago = time.time() - 7200
    names = {"e1.0123abcd.incomplete": long_ago, "e2.0123abcd.incomplete": time.time(), "e3.incomplete": long_ago}
    for name, seconds in {**names, "e4": long_ago}.items():
        (tmp_path / "blobs" / name).touch()
        os.utime(tmp_path / "blobs" / name, (seconds, seconds))
    remove_abandoned(tmp_path)
    assert {path.name for path in (tmp_path / "blobs").iterdir()} == {"e2.0123abcd.incomplete", "e3.incomplete", "e4"}
    remove_abandoned(tmp_path / "none")
