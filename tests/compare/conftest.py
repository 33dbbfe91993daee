"""Folders of frames to compare, and a reporter that listens."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pnpvideo.events import Event, Notice
from tests.compare.pictures import write_folder


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., Path]:
    """folder_of(name, pictures, fps=10): a folder of PNGs with their times."""
    return lambda name, pictures, fps=10: write_folder(tmp_path / name, pictures, fps)


class Notices:
    """A reporter that collects the messages of notices."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.said.append(event.message)


@pytest.fixture
def notices() -> Notices:
    return Notices()
