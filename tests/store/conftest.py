"""A store, its notices, and one entry to put into it."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from pnpvideo.events import Notice
from pnpvideo.store.digest import fingerprint
from pnpvideo.store.store import Store

KEY = fingerprint("a key")


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, notices: list[str]) -> Store:
    def report(event: object) -> None:
        assert isinstance(event, Notice)
        notices.append(event.message)

    return Store(tmp_path / "store", report=report)


def put(store: Store, value: float, name: str = "x") -> None:
    with store.entry("trajectory", KEY) as entry:
        entry.put(name, {"x": torch.full((3,), value)}, {"value": value})


def value(store: Store, name: str = "x") -> float | None:
    with store.entry("trajectory", KEY) as entry:
        found = entry.get(name)
    if found is None:
        return None
    tensors, meta = found
    assert torch.equal(tensors["x"], torch.full((3,), meta["value"]))
    return meta["value"]


def files(store: Store, pattern: str = "*") -> list[Path]:
    return sorted((store.root / "trajectory" / KEY).glob(pattern))


def process(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
