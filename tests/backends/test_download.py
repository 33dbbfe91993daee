"""What is told of a download, without one. See test_hub.py for downloads."""

from pathlib import Path

import pytest

from pnpvideo.backends.download import bytes_in, spoken_bytes


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
