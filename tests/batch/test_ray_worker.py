"""A worker in this process: it tells how its row goes on, then the outcome."""

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pnpvideo.batch.ray_worker import Worker
from pnpvideo.batch.reach import Reach
from pnpvideo.batch.rows import Common, Row, read_rows
from pnpvideo.batch.work import Outcome
from pnpvideo.events import Event, Progress


def outcome(worker: Worker, row: Row) -> tuple[list[Event], Outcome]:
    worker.begin(row)
    heard: list[Event] = []
    while True:
        events, found = worker.news()
        heard += events
        if found is not None:
            return heard, found


def test_rows_are_told_event_by_event(
    folder: Path, jobs: Callable[[str], Path], common: Common, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(folder)
    rows = read_rows(jobs('[[rows]]\ninput = "in/0[01].png"\n'), common)
    worker = Worker(os.getcwd(), torch.get_num_threads())
    told = [outcome(worker, row) for row in rows]
    assert [found.state for _, found in told] == ["done", "done"]
    assert any(isinstance(event, Progress) and event.overall == 1.0 for event in told[1][0])


def test_a_worker_says_where_it_is_and_what_it_has_and_does_not_see(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(folder)
    hello = Worker(str(folder / "none"), 1).hello(Reach((("nothing.png", 3),), ()))
    assert hello.host and hello.unseen == ("nothing.png",)
    assert hello.versions["torch"] == importlib.metadata.version("torch")
    assert Path.cwd() == folder  # a folder that is not there changes nothing
