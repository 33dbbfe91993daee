"""Files are replaced atomically and synced."""

import os
from pathlib import Path

import pytest

from pnpvideo.store.durable import replace_file


def test_a_replaced_file_and_its_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    replace_file(tmp_path / "a", b"new")
    assert synced == [(tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino]
