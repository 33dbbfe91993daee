"""What a crash of the machine leaves: content is on the disk before its name, the name before success is reported."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpvideo.publish import published
from pnpvideo.store import Store
from pnpvideo.video.clip import ClipInfo
from pnpvideo.video.write import Writer


@dataclass(frozen=True)
class Sync:
    """One fsync: of which file, by number, and what a folder listed at that moment."""

    inode: int
    names: dict[str, int]


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[Sync]:
    """Every fsync from here on, in order."""
    done: list[Sync] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        here = Path(os.readlink(f"/proc/self/fd/{number}"))
        names = {path.name: path.stat().st_ino for path in here.iterdir()} if here.is_dir() else {}
        done.append(Sync(os.fstat(number).st_ino, names))

    monkeypatch.setattr(os, "fsync", noted)
    return done


def durable(path: Path, syncs: list[Sync]) -> bool:
    """Was ``path`` written to the disk before it had its name, and the name after that?"""
    inode, parent = path.stat().st_ino, path.parent.stat().st_ino
    content = [n for n, sync in enumerate(syncs) if sync.inode == inode]
    named = [n for n, sync in enumerate(syncs) if sync.inode == parent and sync.names.get(path.name) == inode]
    return bool(content and named) and content[0] < named[0]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")
def test_parts_of_the_store_and_their_manifest_are_on_the_disk(tmp_path: Path, syncs: list[Sync]) -> None:
    store = Store(tmp_path / "store")
    with store.entry("run", "0" * 64) as entry:
        entry.put("state", {"x": torch.zeros(3)})
    files = list((tmp_path / "store" / "run").glob("*/*"))
    assert len(files) == 2
    assert all(durable(path, syncs) for path in files)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux")
@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.webp", "a.gif", "frames"])
@pytest.mark.parametrize("before", [False, True])
def test_a_result_is_on_the_disk_when_it_is_reported(
    name: str, before: bool, tmp_path: Path, syncs: list[Sync]
) -> None:
    info = ClipInfo(path=None, kind="still", width=16, height=16, frames=1)
    for shade in (50, 90)[not before :]:
        with Writer(tmp_path / name, info, overwrite=True) as writer:
            writer.append(np.full((16, 16, 3), shade, np.uint8), 0)
        path = tmp_path / name
        assert durable(path, syncs)
        if path.is_dir():  # frames have their names before the folder has its own
            frames = {frame.stat().st_ino for frame in path.iterdir()}
            assert frames <= {sync.inode for sync in syncs}
        syncs.clear()


@pytest.mark.skipif(sys.platform != "linux", reason="needs renameat2")
def test_a_folder_that_is_replaced_never_goes_without_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, replace, gone = tmp_path / "frames", os.replace, list[str]()
    target.mkdir()
    (target / "old.png").write_bytes(b"old")

    def noted(source: str | Path, destination: str | Path) -> None:
        replace(source, destination)
        gone.extend([] if target.exists() else [str(source)])

    monkeypatch.setattr(os, "replace", noted)
    with published(target) as path:
        path.mkdir()
        (path / "new.png").write_bytes(b"new")
    assert [entry.name for entry in target.iterdir()] == ["new.png"]
    assert gone == []
